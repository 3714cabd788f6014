package api

import (
	"context"
	"encoding/json"
	"net/http"
)

// Tuning is what may be changed while the node runs.
type Tuning interface {
	Tuning() []Tunable
	// Tune changes what is named, all of it or nothing; nil is back to the default.
	Tune(ctx context.Context, changes map[string]*int64) error
}

// Tunable is one setting.
type Tunable struct {
	Name    string `json:"name"`
	Value   int64  `json:"value"`
	Default int64  `json:"default"` // What the node began with.
	Least   int64  `json:"min"`
	Most    int64  `json:"max"`
	Unit    string `json:"unit"`
	Meaning string `json:"meaning"`
}

// getTuning serves GET /v1/tuning.
func (d *adminDoor) getTuning(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]any{
		"settings": emptyOr(d.node.Tuning()),
		"note":     "changes last until the node ends; to keep them, use its flags",
	})
}

// tuningBodyBytesMax is all settings with the longest values, several times over.
const tuningBodyBytesMax = 16 << 10

// patchTuning serves PATCH /v1/tuning, a JSON merge patch of names to values.
func (d *adminDoor) patchTuning(w http.ResponseWriter, r *http.Request) error {
	var body map[string]json.RawMessage
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, tuningBodyBytesMax))
	if err := in.Decode(&body); err != nil || body == nil || in.More() {
		return Invalid("", "want an object of settings and numbers, as in GET /v1/tuning")
	}
	changes := make(map[string]*int64, len(body))
	for name, text := range body {
		var value *int64
		if json.Unmarshal(text, &value) != nil {
			return Invalid(name, "%.40s is neither an integer nor null", text)
		}
		changes[name] = value
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.Tune(ctx, changes); err != nil {
		return err
	}
	return d.getTuning(w, r)
}
