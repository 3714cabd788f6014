package main

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"throng/wire"
)

// TestEventsMakeFramesOfOneSize puts the bytes around each side's event that its server does.
func TestEventsMakeFramesOfOneSize(t *testing.T) {
	around := map[string]func(event []byte) string{
		"throng": func(event []byte) string {
			name, _ := wire.StringField(event, "t")
			body, _ := wire.Field(event, "d")
			frame, _ := wire.AppendDispatch(nil, 0, name, body)
			return string(frame[wire.FrameHeaderBytes(len(frame)-4):])
		},
		"nats-server": func(event []byte) string {
			return fmt.Sprintf("MSG room-0 1 %d\r\n%s\r\n", len(event), event)
		},
		"centrifuge": func(event []byte) string {
			return fmt.Sprintf(`{"push":{"channel":"room-0","pub":{"data":%s}}}`, event)
		},
		"hub": func(event []byte) string { return string(event) },
	}
	for _, s := range sides {
		event := s.event(time.Unix(1_800_000_000, 0))
		if !wire.ValidJSON(event, wire.JSONDepthMax) || bytes.Contains(event, []byte("\n")) {
			t.Errorf("%s: no line of JSON: %s", s.name, event)
		}
		payload := around[s.name](event)
		if got := wire.FrameHeaderBytes(len(payload)) + len(payload); got != frameBytes {
			t.Errorf("%s: the frame has %d bytes, want %d: %s", s.name, got, frameBytes, payload)
		}
	}
}
