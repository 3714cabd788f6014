package api

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// Limits of what a media server may say of itself.
const (
	voiceTextBytesMax     = 128
	voiceCapacityMax      = 10_000_000
	voiceSecretBytesMin   = 16 // Of a key for HMAC-SHA256; fewer can be guessed.
	voiceSecretBytesMax   = 256
	voiceExpirySecondsMax = 24 * 60 * 60
)

var voiceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// UnknownVoiceServer is a name that no media server has.
var UnknownVoiceServer = &Error{Status: http.StatusNotFound,
	Message: "there is no such voice server"}

// VoiceServerInput is a media server to add or to change.
type VoiceServerInput struct {
	Region   string
	Endpoint string // host:port, for clients.
	Capacity int    // In users.
	Secret   string // Signs the tokens of its users; "" keeps what there is.
	Load     *int   // Users on it; nil when it does not say.
	// ExpiresIn is how soon it must be heard of again; 0 is never.
	ExpiresIn time.Duration
}

// VoiceServerInfo is what the node knows of a media server.
type VoiceServerInfo struct {
	Name     string `json:"name"`
	Region   string `json:"region"`
	Endpoint string `json:"endpoint"`
	Capacity int    `json:"capacity"`
	Load     int    `json:"load"`
	Users    int    `json:"users"` // By way of this node.
	Channels int    `json:"channels"`
	Up       bool   `json:"up"`
	// ExpiresIn is in seconds; 0 is never.
	ExpiresIn float64 `json:"expires_in"`
}

// voiceBody is what a media server, or who runs it, writes.
type voiceBody struct {
	Region    string   `json:"region"`
	Endpoint  string   `json:"endpoint"`
	Capacity  int      `json:"capacity"`
	Secret    string   `json:"secret"`
	Load      *int     `json:"load"`
	ExpiresIn *float64 `json:"expires_in"`
}

// readVoice reads the body of a route of media servers, and checks what both routes have.
func (d *adminDoor) readVoice(w http.ResponseWriter, r *http.Request) (b voiceBody,
	expires time.Duration, err error) {
	if !voiceName.MatchString(r.PathValue("name")) {
		return b, 0, Invalid("name", "want 1 to 64 letters, digits, dots, dashes or underscores")
	}
	doc, err := d.readObject(w, r, d.limits.Line)
	if err != nil {
		return b, 0, err
	}
	var wrong *json.UnmarshalTypeError
	if err := json.Unmarshal(doc, &b); errors.As(err, &wrong) {
		return b, 0, Invalid(wrong.Field, "a %s is of no use here", wrong.Value)
	} else if err != nil {
		return b, 0, Invalid("", "%v", err)
	}
	if b.Load != nil && (*b.Load < 0 || *b.Load > voiceCapacityMax) {
		return b, 0, Invalid("load", "want a number from 0 to %d", voiceCapacityMax)
	}
	if s := b.ExpiresIn; s != nil {
		if *s <= 0 || *s > voiceExpirySecondsMax {
			return b, 0, Invalid("expires_in", "want seconds, at most %d", voiceExpirySecondsMax)
		}
		expires = max(time.Duration(*s*float64(time.Second)), time.Millisecond)
	}
	return b, expires, nil
}

// putVoiceServer serves PUT /v1/voice/servers/{name}.
func (d *adminDoor) putVoiceServer(w http.ResponseWriter, r *http.Request) error {
	b, expires, err := d.readVoice(w, r)
	if err != nil {
		return err
	}
	if b.Region == "" || len(b.Region) > voiceTextBytesMax {
		return Invalid("region", "want a string of 1 to %d bytes", voiceTextBytesMax)
	}
	_, port, err := net.SplitHostPort(b.Endpoint)
	number, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || number == 0 || len(b.Endpoint) > voiceTextBytesMax {
		return Invalid("endpoint", "want host:port")
	}
	if b.Capacity < 1 || b.Capacity > voiceCapacityMax {
		return Invalid("capacity", "want a number from 1 to %d", voiceCapacityMax)
	}
	if n := len(b.Secret); n > 0 && n < voiceSecretBytesMin || n > voiceSecretBytesMax {
		return Invalid("secret", "want a string of %d to %d bytes", voiceSecretBytesMin,
			voiceSecretBytesMax)
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	name := r.PathValue("name")
	err = d.node.PutVoiceServer(ctx, name, VoiceServerInput{
		Region: b.Region, Endpoint: b.Endpoint, Capacity: b.Capacity, Secret: b.Secret,
		Load: b.Load, ExpiresIn: expires,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]string{"name": name})
}

// postVoiceLoad serves POST /v1/voice/servers/{name}/load, a media server's report.
func (d *adminDoor) postVoiceLoad(w http.ResponseWriter, r *http.Request) error {
	b, expires, err := d.readVoice(w, r)
	if err != nil {
		return err
	}
	if b.Load == nil {
		return Invalid("load", "want the number of users")
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.ReportVoiceServer(ctx, r.PathValue("name"), *b.Load, expires); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteVoiceServer serves DELETE /v1/voice/servers/{name}.
func (d *adminDoor) deleteVoiceServer(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.RemoveVoiceServer(ctx, r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// listVoiceServers serves GET /v1/voice/servers.
func (d *adminDoor) listVoiceServers(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := d.ask(r)
	defer cancel()
	all, err := d.node.VoiceServers(ctx)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, emptyOr(all))
}
