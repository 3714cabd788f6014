// Command parts measures the parts of the node that decide how large a guild may be and how many
// nodes there may be, each by itself: Go benchmarks beside the code, run one package after the
// other.
//
//	go run ./bench/parts
//
// What each of them measures is said where it stands; table.go names them, with what is to be
// reached. Times of turns are processor time of the thread. It writes bench/results/parts.json and
// ends by itself after some ten minutes.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"throng/bench/internal/report"
	"throng/bench/internal/trial"
)

func main() {
	trial.Main("parts", "What do the parts cost, each by itself?",
		trial.Options{Timeout: 40 * time.Minute},
		func(ctx context.Context, t *trial.Trial) error {
			err := t.EachRun(ctx, func(int) error { return measure(ctx, t) })
			if err == nil {
				conclude(t)
			}
			return err
		})
}

// measure runs all benchmarks once.
func measure(ctx context.Context, t *trial.Trial) error {
	for _, g := range groups {
		var names []string
		for _, p := range parts {
			top, _, _ := strings.Cut(p.bench, "/")
			if p.group == g.name && !contains(names, top) {
				names = append(names, top)
			}
		}
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-timeout", "30m",
			"-bench", "^Benchmark("+strings.Join(names, "|")+")$", "-benchtime", g.time,
			"-benchmem", "./"+g.folder)
		cmd.Dir, cmd.Stderr = t.Root, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", g.folder, err, out)
		}
		found := read(out)
		for i := range parts {
			if parts[i].group != g.name {
				continue
			}
			v, err := parts[i].value(found)
			if err != nil {
				return err
			}
			t.Samples.Add(parts[i].what, v)
		}
		t.Note("%s", strings.Join(names, ", "))
	}
	return nil
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

// line is one of go test's: a benchmark, how often it ran, and pairs of value and unit.
var line = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// read returns the metrics of each benchmark, by unit.
func read(out []byte) map[string]map[string]float64 {
	found := map[string]map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		metrics := map[string]float64{}
		fields := strings.Fields(m[2])
		for i := 0; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				metrics[fields[i+1]] = v
			}
		}
		found[m[1]] = metrics
	}
	return found
}

// value is the part's, the largest when it is of several benchmarks: of a name that ends with /*.
func (p *part) value(found map[string]map[string]float64) (float64, error) {
	largest := math.Inf(-1)
	prefix, all := strings.CutSuffix(p.bench, "*")
	for name, metrics := range found {
		v, has := metrics[p.unit]
		if has && (name == p.bench || all && strings.HasPrefix(name, prefix)) {
			largest = max(largest, v*p.scale)
		}
	}
	if math.IsInf(largest, -1) {
		return 0, fmt.Errorf("benchmark %s says nothing in %s", p.bench, p.unit)
	}
	return largest, nil
}

// conclude says what was found.
func conclude(t *trial.Trial) {
	r := t.Result
	title := ""
	var rows [][]string
	flush := func() {
		if len(rows) > 0 {
			r.Table(title, []string{"what", "measured", "unit", "to reach", "benchmark"}, rows)
		}
		rows = nil
	}
	for i := range parts {
		p := &parts[i]
		if p.title != title {
			flush()
			title = p.title
		}
		v, limit := t.Samples.Median(p.what), ""
		if p.limit == 0 {
			v = t.Samples.Most(p.what)
		}
		if p.limit >= 0 {
			limit = "≤ " + report.Number(p.limit)
			r.Reach(report.Figure{What: p.what, Measured: v, Unit: p.shown, Limit: p.limit})
		}
		rows = append(rows, []string{p.what, report.Number(v), p.shown, limit,
			"`" + p.bench + "`"})
	}
	flush()
}
