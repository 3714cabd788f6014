package store

import (
	"cmp"
	"slices"
)

// sortPause comparisons are made between two pauses: 100 to 300 µs.
const sortPause = 2048

// Sort puts records into the order of Compare. The beginnings of the names are taken along, which
// saves the two cache misses of nearly every comparison; see RankTree. It calls pause again and
// again.
func (r *Roster) Sort(refs []Ref, pause func()) {
	type entry struct {
		prefix uint64
		ref    Ref
	}
	entries := make([]entry, len(refs))
	for i, ref := range refs {
		entries[i] = entry{r.prefix(ref), ref}
	}
	compared := 0
	slices.SortFunc(entries, func(a, b entry) int {
		if compared++; compared%sortPause == 0 {
			pause()
		}
		if c := cmp.Compare(a.prefix, b.prefix); c != 0 {
			return c
		}
		return r.Compare(a.ref, b.ref)
	})
	for i, e := range entries {
		refs[i] = e.ref
	}
}
