package main

import (
	"fmt"
	"strings"

	"throng/bench/corpus"
	"throng/bench/internal/plot"
	"throng/bench/internal/report"
)

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	size := plot.Bars{Title: "Bytes per delivery", Unit: "B", Series: []string{"bytes"},
		Values: [][]float64{nil}}
	cost := plot.Bars{Title: "CPU per delivery, as a multiple of plain", Unit: "×",
		Series: []string{"CPU"}, Values: [][]float64{nil}, Limit: 1.1, LimitName: "to reach"}
	var rows [][]string
	for _, m := range modes {
		ratio := s.Ratio(m.name+" µs/delivery", "none µs/delivery")
		rows = append(rows, []string{m.name, report.Number(float64(m.receivers)),
			report.Number(s.Median(m.name + " B/delivery")),
			report.Number(s.Ratio(m.name+" B/delivery", "none B/delivery")),
			report.Number(s.Median(m.name + " µs/event")),
			report.Number(s.Median(m.name + " µs/delivery")), report.Number(ratio),
			report.Number(s.Median(m.name+" resident B/connection") / 1024)})
		name := strings.Replace(m.name, "-stream", "", 1)
		size.Groups, cost.Groups = append(size.Groups, name), append(cost.Groups, name)
		size.Values[0] = append(size.Values[0], s.Median(m.name+" B/delivery"))
		cost.Values[0] = append(cost.Values[0], ratio)
	}
	r.Table("", []string{"transport", "receivers", "bytes per delivery", "× plain",
		"CPU, µs per event", "CPU, µs per delivery", "× plain", "memory per connection, KB"}, rows)
	r.Plot("bytes", "bytes per delivery by transport", size.SVG())
	r.Plot("cpu", "processor time per delivery by transport", cost.SVG())

	var mix []string
	for _, share := range corpus.Mix {
		mix = append(mix, share.String())
	}
	r.Say("The mix is %s.", strings.Join(mix, ", "))
	for _, kind := range []string{"zlib", "zstd"} {
		shared, private := kind+"-stream, shared", kind+"-stream, own context"
		r.Say("With %s, shared blocks take %s of the plain bytes for %s times the processor time "+
			"of a delivery; a compressor for each connection takes %s of the bytes for %s times "+
			"the time, and its memory.", kind,
			report.Number(s.Ratio(shared+" B/delivery", "none B/delivery")),
			report.Number(s.Ratio(shared+" µs/delivery", "none µs/delivery")),
			report.Number(s.Ratio(private+" B/delivery", "none B/delivery")),
			report.Number(s.Ratio(private+" µs/delivery", "none µs/delivery")))
		r.Reach(report.Figure{What: fmt.Sprintf("shared %s, CPU per delivery against plain", kind),
			Measured: s.Ratio(shared+" µs/delivery", "none µs/delivery"), Unit: "×", Limit: 1.1})
	}
}
