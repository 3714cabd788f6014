package api

import (
	"cmp"
	"net/http"
	"slices"
)

// MemoryInfo is what the node holds in memory, estimated from a part of it.
type MemoryInfo struct {
	// Bytes is the sum of the parts, and ErrorBytes how far it may be off, 19 times of 20.
	Bytes      int64        `json:"bytes"`
	ErrorBytes int64        `json:"error_bytes"`
	Parts      []MemoryPart `json:"parts"`
	// Process is what Go's runtime says of the whole process: heap_live has garbage in it, marked
	// is what the last collection found alive.
	Process map[string]int64 `json:"process"`
	// Missing are owners that did not answer in time; the parts are without theirs.
	Missing     []string `json:"missing,omitempty"`
	TookSeconds float64  `json:"took_seconds"`
}

// MemoryPart is one kind of things.
type MemoryPart struct {
	Part       string `json:"part"`
	Count      int    `json:"count,omitempty"` // Where that is known.
	Bytes      int64  `json:"bytes"`
	ErrorBytes int64  `json:"error_bytes"`
}

// getMemory serves GET /v1/memory, the largest part first.
func (d *adminDoor) getMemory(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := d.ask(r)
	defer cancel()
	info, err := d.node.Memory(ctx)
	if err != nil {
		return err
	}
	info.Parts = emptyOr(info.Parts)
	slices.SortStableFunc(info.Parts, func(a, b MemoryPart) int {
		return cmp.Compare(b.Bytes, a.Bytes)
	})
	return writeJSON(w, http.StatusOK, info)
}
