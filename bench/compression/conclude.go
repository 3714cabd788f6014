package main

import (
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
		ratio := b.timesPlain(m)
		rows = append(rows, []string{m.name, report.Number(float64(m.receivers)),
			report.Number(s.Median(m.name + " B/delivery")),
			report.Number(s.Ratio(m.name+" B/delivery", "none B/delivery")),
			report.Number(s.Median(m.name + " µs/event")),
			report.Number(s.Median(m.name + " µs/delivery")), report.Number(ratio),
			report.Number(s.Median(m.name + " heap B/connection"))})
		name := strings.Replace(m.name, "-stream", "", 1)
		size.Groups, cost.Groups = append(size.Groups, name), append(cost.Groups, name)
		size.Values[0] = append(size.Values[0], s.Median(m.name+" B/delivery"))
		cost.Values[0] = append(cost.Values[0], ratio)
	}
	for _, y := range yardsticks {
		rows = append(rows, []string{y.name, "–", report.Number(s.Median(y.name + " B/delivery")),
			report.Number(s.Ratio(y.name+" B/delivery", "none B/delivery")), "–", "–", "–", "–"})
	}
	r.Table("", []string{"transport", "receivers", "bytes per delivery", "× plain",
		"CPU, µs per event", "CPU, µs per delivery", "× plain", "heap per connection, B"}, rows)
	r.Plot("bytes", "bytes per delivery by transport", size.SVG())
	r.Plot("cpu", "processor time per delivery by transport", cost.SVG())

	var mix []string
	for _, share := range corpus.Mix {
		mix = append(mix, share.String())
	}
	r.Say("The mix is %s.", strings.Join(mix, ", "))
	for _, name := range []string{"zlib-stream, shared", "zstd-stream, relocated"} {
		private := name[:len("zlib")] + "-stream, own context"
		r.Say("With %s, a delivery takes %s of the plain bytes for %s times the processor time; "+
			"with a compressor for each connection, %s of the bytes for %s times the time, and "+
			"its memory.", name, report.Number(s.Ratio(name+" B/delivery", "none B/delivery")),
			report.Number(s.Median(name+besidePlain)),
			report.Number(s.Ratio(private+" B/delivery", "none B/delivery")),
			report.Number(s.Ratio(private+" µs/delivery", "none µs/delivery")))
		r.Reach(report.Figure{What: name + ", CPU per delivery against plain",
			Measured: s.Median(name + besidePlain), Unit: "×", Limit: 1.1})
	}
	const relocated = "zstd-stream, relocated B/delivery"
	for _, y := range yardsticks {
		r.Reach(report.Figure{What: "zstd-stream, relocated, bytes against a " + y.name,
			Measured: s.Ratio(relocated, y.name+" B/delivery"), Unit: "×", Limit: y.limit})
	}
	r.Reach(report.Figure{What: "zstd-stream, relocated, bytes against zlib-stream, own context",
		Measured: s.Ratio(relocated, "zlib-stream, own context B/delivery"), Unit: "×", Limit: 1})
	b.tellPaces()
}

// timesPlain is the processor time of a delivery as a multiple of a plain one's.
func (b *bench) timesPlain(m mode) float64 {
	if name := m.name + besidePlain; len(b.Samples[name]) > 0 {
		return b.Samples.Median(name)
	}
	return b.Samples.Ratio(m.name+" µs/delivery", "none µs/delivery")
}
