package node

import (
	"errors"
	"syscall"
	"testing"

	"throng/wire"
)

// TestPortIsFreeAfterwards has a node end connections itself, so that their ends wait in the
// kernel, some of them for a peer that never answers. The next node on the port does not mind.
func TestPortIsFreeAfterwards(t *testing.T) {
	r := startRig(t, Config{})
	for range 8 {
		c := r.dial("/?v=3")
		c.wantClose(wire.CloseInvalidVersion)
		c.wantEnd()
	}
	for range 8 {
		r.dial("/") // Open until the test ends.
	}
	address := r.doors["gateway"]
	if _, _, err := claim(address); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second node on the port of a running one: %v", err)
	}
	r.stop()
	_, release, err := claim(address)
	if err != nil {
		t.Fatalf("the next node: %v", err)
	}
	release()
}
