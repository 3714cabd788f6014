package main

import (
	"bytes"
	"fmt"

	"throng/bench/internal/report"
	"throng/wire"
)

// What a session's own frames do to the bytes of what it shares with others: each costs a stream
// whose blocks are packed for many the agreement with them, unless it is the answer to a heartbeat.
// It is worked out from the texts alone, for one session that has been there for a while.

// pace is how often something comes between the events that a session shares.
type pace struct {
	name   string
	beat   int // events from one heartbeat to the next, 41 s; 0 for none
	guilds int // whose events it hears in turns
}

var paces = []pace{
	{"no heartbeats", 0, 1},
	{"5 events a second", 205, 1},
	{"an event a second", 41, 1},
	{"an event in 5 s", 8, 1},
	{"the same, of three guilds in turns", 8, 3},
}

const (
	// warmEvents are heard before any is counted.
	warmEvents = 150
	// window is -compress-window's default, template about what HELLO teaches, and ago how far back
	// that is.
	window   = 1 << 20
	template = 12 << 10
	ago      = 20 << 10
)

// answer is what a heartbeat is answered with.
var answer = []byte(`{"op":11,"d":null,"s":null,"t":null}`)

func (p pace) key(side string) string { return p.name + ", " + side + " B" }

const relocatedSide = "relocated"

// between packs the events at each pace, for relocated blocks and for each yardstick.
func (b *bench) between(events []said) error {
	for _, p := range paces {
		b.Samples.Add(p.key(relocatedSide), relocate(p, events))
		for _, y := range yardsticks {
			sum, err := compress(p, y, events)
			if err != nil {
				return fmt.Errorf("%s: %w", y.name, err)
			}
			b.Samples.Add(p.key(y.name), sum)
		}
	}
	return nil
}

// relocate is the mean of bytes of an event.
func relocate(p pace, events []said) (mean float64) {
	var at wire.Stream
	at.Say(wire.Said{Text: ago, Taught: template}, window)
	var histories []*wire.History
	for i := range p.guilds {
		histories = append(histories, wire.NewHistory(uint16(1+i), uint32(i)<<24))
	}
	sum := 0
	for i, e := range events {
		f := histories[i%p.guilds].Frame(wire.NewDispatch(e.name, e.d, nil))
		frame, _ := wire.AppendStreamed(nil, f.Bytes, uint32(2+i), &at, window)
		if i >= warmEvents {
			sum += len(frame)
		}
		if p.beats(i) {
			at.Say(wire.Said{Text: uint16(len(answer))}, window)
		}
	}
	return float64(sum) / float64(len(events)-warmEvents)
}

// compress is that of a compressor of the session's own, which sees its answers too.
func compress(p pace, y yardstick, events []said) (mean float64, err error) {
	var out bytes.Buffer
	w, err := y.make(&out)
	if err != nil {
		return 0, err
	}
	put := func(text []byte) (int, error) {
		out.Reset()
		if _, err := w.Write(text); err != nil {
			return 0, err
		}
		err := w.Flush()
		return wire.FrameHeaderBytes(out.Len()) + out.Len(), err
	}
	sum := 0
	for i, e := range events {
		n, err := put(e.text)
		if err != nil {
			return 0, err
		}
		if i >= warmEvents {
			sum += n
		}
		if p.beats(i) {
			if _, err := put(answer); err != nil {
				return 0, err
			}
		}
	}
	return float64(sum) / float64(len(events)-warmEvents), nil
}

// beats says whether a heartbeat is answered behind an event.
func (p pace) beats(i int) bool { return p.beat > 0 && i%p.beat == p.beat-1 }

// tellPaces shows what was found.
func (b *bench) tellPaces() {
	columns := []string{"bytes of an event when a session hears", "relocated"}
	for _, y := range yardsticks {
		columns = append(columns, y.name, "×")
	}
	var rows [][]string
	for _, p := range paces {
		row := []string{p.name, report.Number(b.Samples.Median(p.key(relocatedSide)))}
		for _, y := range yardsticks {
			row = append(row, report.Number(b.Samples.Median(p.key(y.name))),
				report.Number(b.Samples.Ratio(p.key(relocatedSide), p.key(y.name))))
		}
		rows = append(rows, row)
	}
	b.Result.Table("With what is a session's own between, a heartbeat every 41 s", columns, rows)
	slow, many := paces[len(paces)-2], paces[len(paces)-1]
	for _, y := range yardsticks {
		ratio := b.Samples.Ratio(slow.key(relocatedSide), slow.key(y.name))
		b.Result.Reach(report.Figure{What: "relocated, an event in 5 s between heartbeats, " +
			"against a " + y.name, Measured: ratio, Unit: "×", Limit: y.limit})
	}
	b.Result.Say("Who hears several guilds in turns has no agreement with any of them, so its "+
		"events are packed against the template alone: %s bytes.",
		report.Number(b.Samples.Median(many.key(relocatedSide))))
}
