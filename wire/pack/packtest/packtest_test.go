package packtest

import (
	"reflect"
	"testing"
)

func TestZeros(t *testing.T) {
	type inner struct{ a, b int }
	type outer struct {
		set, unset   int
		one          *inner
		none         *inner
		list         []inner
		empty, null  []int
		leaf         inner
		full, hollow map[int]int
	}
	v := &outer{set: 1, unset: 0, one: &inner{a: 1}, none: nil, list: []inner{{b: 2}, {}},
		empty: []int{}, null: nil, leaf: inner{a: 1}, full: map[int]int{1: 0},
		hollow: map[int]int{}}
	want := []string{".unset", ".one.b", ".none", ".list[0].a", ".empty", ".null", ".leaf.b",
		".hollow"}
	if got := Zeros(v); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	want = []string{".unset", ".none", ".empty", ".null", ".hollow"}
	if got := Zeros(v, inner{}); !reflect.DeepEqual(got, want) {
		t.Errorf("with a leaf: got %q, want %q", got, want)
	}
	if got := Fields(inner{}); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Errorf("got %q", got)
	}
}
