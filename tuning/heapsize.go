package tuning

import (
	"math"
	"math/bits"
	"runtime/metrics"
	"slices"
	"sync"
)

// What values take in Go's heap, which is more than they are long.

// sizeClasses are the lengths that the runtime allocates small values with, ascending. It tells
// them as the ends of the buckets of a histogram: of what is shorter than 17, 33 and so on.
var sizeClasses = sync.OnceValue(func() []int {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs-by-size:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	var classes []int
	for _, end := range sample[0].Value.Float64Histogram().Buckets {
		if end > 1 && !math.IsInf(end, 0) {
			classes = append(classes, int(end)-1)
		}
	}
	return classes
})

// heapPageBytes is what long values are rounded up to.
const heapPageBytes = 8 << 10

// HeapBytes is what an allocation of so many bytes takes. One with pointers that is longer than 512
// has a header of eight more, which is less than the steps between classes.
func HeapBytes(bytes int) int {
	if bytes <= 0 {
		return 0
	}
	classes := sizeClasses()
	if at, _ := slices.BinarySearch(classes, bytes); at < len(classes) {
		return classes[at]
	}
	return (bytes + heapPageBytes - 1) / heapPageBytes * heapPageBytes
}

// What is known of Go's maps: slots in groups of eight with a byte each beside, a small map being
// one group; up to seven eighths full; tables that double to 1,024 slots, and then split.
const (
	mapHeaderBytes = 48
	mapGroupSlots  = 8
	mapTableBytes  = 48 // A table's header and its place in the directory.
	mapTableSlots  = 1024
	mapFullEighths = 7
)

// MapBytes is what a map with so many entries takes, of slotBytes for a key and its value. One that
// was larger once takes as much as then.
func MapBytes(entries, slotBytes int) int {
	group := mapGroupSlots * (slotBytes + 1)
	if entries <= mapGroupSlots {
		if entries == 0 {
			return mapHeaderBytes
		}
		return mapHeaderBytes + HeapBytes(group)
	}
	slots := 1 << bits.Len(uint((entries*8+mapFullEighths-1)/mapFullEighths-1))
	if slots <= mapTableSlots {
		return mapHeaderBytes + mapTableBytes + HeapBytes(slots/mapGroupSlots*group)
	}
	// Hashes are random, so that tables do not split all at the same number: of those that hold 800
	// on the average, a few have had their 896th already.
	tables := float64(slots / mapTableSlots)
	full := float64(mapTableSlots * mapFullEighths / 8)
	mean := float64(entries) / tables
	split := math.Erfc((full-mean)/math.Sqrt(2*mean)) / 2
	each := mapTableBytes + HeapBytes(mapTableSlots/mapGroupSlots*group)
	return mapHeaderBytes + int(tables*(1+split)*float64(each))
}
