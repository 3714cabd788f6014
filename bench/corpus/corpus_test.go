package corpus

import (
	"bytes"
	"testing"

	"throng/wire"
)

func place() Place {
	p := Place{Guild: 200}
	for i := range wire.Snowflake(20) {
		p.Channels = append(p.Channels, 300+i)
		p.Authors = append(p.Authors, 400+i)
		p.Roles = append(p.Roles, 500+i)
	}
	return p
}

func TestTheSeedAloneDecides(t *testing.T) {
	one, same, other := Make(1, 300, place()), Make(1, 300, place()), Make(2, 300, place())
	differ := 0
	for i := range one {
		if !bytes.Equal(one[i].Line, same[i].Line) {
			t.Fatalf("event %d of the same seed differs:\n%s\n%s", i, one[i].Line, same[i].Line)
		}
		if !bytes.Equal(one[i].Line, other[i].Line) {
			differ++
		}
	}
	if differ < 250 {
		t.Errorf("only %d of 300 events differ between two seeds", differ)
	}
}

func TestEveryHundredHasTheMix(t *testing.T) {
	events := Make(3, 250, place())
	if len(events) != 250 {
		t.Fatalf("%d events, want 250", len(events))
	}
	for hundred := range 2 {
		counts := map[string]int{}
		for _, e := range events[hundred*100 : hundred*100+100] {
			counts[e.Name]++
		}
		for _, share := range Mix {
			if counts[share.Name] != share.Percent {
				t.Errorf("%d times %s in hundred %d, want %d", counts[share.Name], share.Name,
					hundred, share.Percent)
			}
		}
	}
}

func TestEventsAreWhatABackendSends(t *testing.T) {
	sum := 0
	for _, e := range Make(4, 200, place()) {
		if !wire.ValidJSON(e.Line, wire.JSONDepthMax) {
			t.Fatalf("no JSON: %s", e.Line)
		}
		name, _ := wire.StringField(e.Line, "t")
		if _, known := wire.LookupEvent(name); !known || name != e.Name {
			t.Errorf("the event is called %q, want %s", name, e.Name)
		}
		if d, ok := wire.Field(e.Line, "d"); !ok || !wire.IsObject(d) {
			t.Errorf("d is no object: %s", e.Line)
		}
		if bytes.ContainsAny(e.Line, "\n") {
			t.Errorf("more than one line: %s", e.Line)
		}
		sum += len(e.Line)
	}
	if mean := sum / 200; mean < 200 || mean > 1000 {
		t.Errorf("an event has %d bytes on average, want 200 to 1,000", mean)
	}
}
