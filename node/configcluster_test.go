package node

import (
	"testing"

	"throng/store"
)

func TestConfigWeight(t *testing.T) {
	for weight, want := range map[float64]int{
		0: store.RingWeight, 1: store.RingWeight, 0.5: store.RingWeight / 2, 1e-9: 1,
		128: store.RingWeightMax, -1: -1, // A membership's own 0 is that of any node.
	} {
		c, err := Config{Weight: weight}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		if got := c.weight(); got != want {
			t.Errorf("%v is %d, want %d", weight, got, want)
		}
	}
	if _, err := (Config{Weight: 129}).withDefaults(); err == nil {
		t.Error("129 is taken")
	}
}
