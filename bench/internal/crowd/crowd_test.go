package crowd

import (
	"testing"
	"time"

	"throng/wire"
)

func TestEventsHaveTheFrameTheyAreMadeFor(t *testing.T) {
	for _, want := range []int{200, 300, 1024, 4096, 65000} {
		line := Event(3, want, time.Unix(1_800_000_000, 7))
		name, _ := wire.StringField(line, "t")
		body, ok := wire.Field(line, "d")
		if !ok || !wire.ValidJSON(line, wire.JSONDepthMax) {
			t.Fatalf("no event: %s", line)
		}
		frame, _ := wire.AppendDispatch(nil, 0, name, body)
		if len(frame) != want {
			t.Errorf("the frame has %d bytes, want %d", len(frame), want)
		}
		if _, known := wire.LookupEvent(name); known {
			t.Errorf("%s is known, and may be completed", name)
		}
	}
}
