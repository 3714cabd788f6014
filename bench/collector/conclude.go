package main

import (
	"throng/bench/internal/plot"
	"throng/bench/internal/report"
)

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	var storms, others [][]string
	var groups []string
	var values [][]float64
	for _, side := range settings {
		number := func(what string) string { return report.Number(s.Median(side.name + what)) }
		longest := max(s.Median(side.name+" storm pause ms"),
			s.Median(side.name+" steady pause ms"), s.Median(side.name+" idle pause ms"))
		storms = append(storms, []string{side.name, number(" storm µs/unit"),
			number(" storm GC %"), number(" storm collections"), number(" storm B/session"),
			number(" storm MB"), report.Number(longest)})
		others = append(others, []string{side.name, number(" steady µs/unit"),
			number(" steady GC %"), number(" steady collections"), number(" idle CPU %"),
			number(" idle B/session"), number(" idle MB")})
		groups = append(groups, side.name)
		values = append(values, []float64{s.Ratio(side.name+" storm µs/unit",
			base+" storm µs/unit"), s.Ratio(side.name+" storm MB", base+" storm MB")})
	}
	r.Table("Everybody identifies", []string{"setting", "CPU, µs per identify",
		"marking, % of CPU", "collections", "resident right after it, B per session",
		"resident, MB", "longest pause in all, ms"}, storms)
	r.Table("Steady delivery, then nothing to do", []string{"setting", "CPU, µs per delivery",
		"marking, % of CPU", "collections", "idle: CPU, % of one processor",
		"resident, B per session", "resident, MB"}, others)
	r.Plot("", "a storm of identifies, as a multiple of the default", plot.Bars{
		Title: "A storm of identifies, beside -gc-percent 100", Unit: "×", Groups: groups,
		Series: []string{"CPU", "resident memory"}, Values: values}.SVG())
	r.Say("In the storm -gc-percent 50 takes %s times the processor time of 100 and %s times its "+
		"memory, 200 takes %s and %s, 400 takes %s and %s.",
		report.Number(values[0][0]), report.Number(values[0][1]), report.Number(values[2][0]),
		report.Number(values[2][1]), report.Number(values[3][0]), report.Number(values[3][1]))
	r.Say("With a limit %d %% of what is in use, the storm takes %s times the processor time.",
		limitPercent, report.Number(values[4][0]))
	r.Say("A steady delivery at 400 takes %s times the processor time of 100: to deliver "+
		"allocates next to nothing, so there is little to collect.",
		report.Number(s.Ratio("-gc-percent 400 steady µs/unit", base+" steady µs/unit")))
}
