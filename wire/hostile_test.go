package wire

import (
	"fmt"
	"strings"
	"testing"
)

// hostileSizes are what Discord's gateway takes of a client at most, and what a node does.
var hostileSizes = []int{4096, 15_360}

// hostileTexts are commands of a size, each hard to read in its own way.
func hostileTexts(size int) map[string]string {
	fill := func(begin, part, end string) string {
		count := (size - len(begin) - len(end)) / len(part)
		return begin + strings.Repeat(part, count) + end
	}
	return map[string]string{
		"levels":     fill(`{"op":1,"d":`, "[", ""),
		"shallow":    fill(`{"op":1,"d":[`, "[[[]]],", `0]}`),
		"keys":       fill(`{"op":1`, `,"op":1`, "}"),
		"digits":     fill(`{"op":1,"d":`, "9", "}"),
		"escapes":    fill(`{"op":1,"d":"`, `\u00e9`, `"}`),
		"surrogates": fill(`{"op":1,"d":"`, `\ud83d\ude00`, `"}`),
		"blanks":     fill(`{"op":1,"d":`, " ", `null}`),
	}
}

// BenchmarkHostile is what a command costs that is meant to cost much.
func BenchmarkHostile(b *testing.B) {
	for _, size := range hostileSizes {
		for name, text := range hostileTexts(size) {
			b.Run(fmt.Sprint(size, "/", name), func(b *testing.B) {
				payload, scratch := []byte(text), make([]byte, 0, 64<<10)
				b.ReportAllocs()
				for b.Loop() {
					_, scratch, _ = ParseCommand(EncodingJSON, payload, scratch[:0])
				}
			})
		}
	}
}
