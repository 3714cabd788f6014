package main

import (
	"fmt"

	"throng/bench/internal/plot"
	"throng/bench/internal/report"
)

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	number := func(name string) string { return report.Number(s.Median(name)) }
	members, seconds := report.Number(float64(b.members)), b.span.Seconds()
	names := map[string]string{"idle": "nobody logs in",
		"logins":   fmt.Sprintf("%s logins in %.0f s", members, seconds),
		"followed": fmt.Sprintf("the same, and %d bots follow presences", followers)}
	var rows [][]string
	var groups []string
	var values [][]float64
	for _, phase := range phases {
		row := []string{names[phase], number(phase + " p50 ms"), number(phase + " p99 ms"),
			number(phase + " max ms"), "-", "-"}
		if phase != "idle" {
			row[4], row[5] = number(phase+" login p50 ms"), number(phase+" login p99 ms")
		}
		rows = append(rows, row)
		groups = append(groups, names[phase])
		values = append(values, []float64{s.Median(phase + " p50 ms"),
			s.Median(phase + " p99 ms")})
	}
	r.Table("", []string{"while", "a message: p50, ms", "p99, ms", "longest, ms",
		"a login: p50, ms", "p99, ms"}, rows)
	r.Plot("", "latency of messages", plot.Bars{Title: "Publish to socket", Unit: "ms",
		Groups: groups, Series: []string{"p50", "p99"}, Values: values}.SVG())
	share := s.Median("followed of changes")
	r.Say("Each login and each departure is a change, %s of them; telling the followers of each "+
		"would be %s frames. They were sent %s, %s %% of that and %s a second, the last of them "+
		"%s s after the last login.", report.Number(2*float64(b.members)),
		report.Number(2*float64(b.members*followers)), number("followed presences"),
		report.Number(100*share), number("followed presences/s"), number("followed behind s"))
	r.Say("Clients and node share the machine, so that logins cost messages their latency by " +
		"themselves; what presences cost is the last line against the one above it.")
	r.Reach(report.Figure{What: "p99 of messages with presences followed, against without",
		Measured: s.Ratio("followed p99 ms", "logins p99 ms"), Unit: "×", Limit: 1.25})
	r.Reach(report.Figure{What: "presences sent, of those there would be",
		Measured: share, Unit: "×", Limit: 1})
}
