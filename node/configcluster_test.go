package node

import (
	"errors"
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

// TestNodeNamesItself by its host, whatever that is called.
func TestNodeNamesItself(t *testing.T) {
	for host, want := range map[string]string{
		"": "throng", "(none)": "throng", ".local": "throng", "a-1": "a-1", "b_2.example.com": "b_2",
	} {
		if got := nodeName(host, nil); got != want {
			t.Errorf("on %q it is %q, want %q", host, got, want)
		}
	}
	if got := nodeName("a", errors.New("no name")); got != "throng" {
		t.Errorf("on a host that does not say it is %q", got)
	}
}
