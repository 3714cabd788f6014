package wire

import (
	"slices"
	"testing"
)

func TestOpsAreThoseOfTheProtocol(t *testing.T) {
	fromServerOnly := []Op{0, 7, 9, 10, 11}
	answered := []Op{1, 2, 3, 4, 6, 8, 14, 31, 37, 40, 43}
	ignored := []Op{5, 12, 13, 17, 18, 19, 20, 21, 22, 28, 29, 30, 32, 33, 34, 35, 36, 38,
		39, 41, 42}
	names := map[string]Op{}
	for op := Op(-3); op < 300; op++ {
		client := slices.Contains(answered, op) || slices.Contains(ignored, op)
		if got := op.FromClient(); got != client {
			t.Errorf("op %d FromClient: got %v, want %v", int(op), got, client)
		}
		if got, want := op.Ignored(), slices.Contains(ignored, op); got != want {
			t.Errorf("op %d Ignored: got %v, want %v", int(op), got, want)
		}
		if got, want := op.Known(), client || slices.Contains(fromServerOnly, op); got != want {
			t.Errorf("op %d Known: got %v, want %v", int(op), got, want)
		}
		if other, taken := names[op.String()]; taken {
			t.Errorf("ops %d and %d are both called %s", int(op), int(other), op)
		}
		names[op.String()] = op
	}
}

func TestQueryValues(t *testing.T) {
	for query, want := range map[string]Encoding{"": EncodingJSON, "json": EncodingJSON, "etf": EncodingETF} {
		if got, ok := ParseEncoding(query); !ok || got != want {
			t.Errorf("encoding %q: got %v, %v, want %v", query, got, ok, want)
		}
	}
	compressions := map[string]Compression{
		"": CompressionNone, "zlib-stream": CompressionZlib, "zstd-stream": CompressionZstd,
	}
	for query, want := range compressions {
		if got, ok := ParseCompression(query); !ok || got != want {
			t.Errorf("compress %q: got %v, %v, want %v", query, got, ok, want)
		}
	}
	for _, query := range []string{"JSON", "bson", "zlib", "gzip", "zlib-stream "} {
		if got, ok := ParseEncoding(query); ok {
			t.Errorf("encoding %q: got %v, want a refusal", query, got)
		}
		if got, ok := ParseCompression(query); ok {
			t.Errorf("compress %q: got %v, want a refusal", query, got)
		}
	}
}
