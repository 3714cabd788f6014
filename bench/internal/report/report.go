// Package report turns the numbers of a bench into what is kept: a file of results, pictures, and
// the bench's section of bench/README.md.
//
// A figure is a median over runs, and a comparison is the median of the ratios within each run,
// never a ratio of medians of different times: both sides of a ratio have then seen the same
// machine. What may not happen at all is judged by the worst run. Everything measured is kept in
// the file, run by run, so that a reader can judge the spread. The page is rendered from the files
// and from nothing else, so it cannot say what no file holds; a test compares them. This package
// measures nothing and reads no clock.
// Start reading at Result and Page.
package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"throng/bench/internal/host"
)

// Result is what one bench has found.
type Result struct {
	Bench    string       `json:"bench"`
	Question string       `json:"question"`
	Command  string       `json:"command"`
	Commit   string       `json:"commit"`
	Date     string       `json:"date"`
	Machine  host.Machine `json:"machine"`
	// Flags are those of the bench, Servers those of each server, by its name.
	Flags   []string            `json:"flags"`
	Servers map[string][]string `json:"servers,omitempty"`
	Runs    int                 `json:"runs"`
	Seconds float64             `json:"seconds"`
	Tables  []Table             `json:"tables"`
	Plots   []Plot              `json:"plots"`
	Figures []Figure            `json:"figures,omitempty"`
	Meaning []string            `json:"meaning"`
	Samples Samples             `json:"samples"`
}

// Table is a table of the page.
type Table struct {
	Title   string     `json:"title"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// Plot is a picture of the page, in a file beside the result.
type Plot struct {
	File string `json:"file"`
	Alt  string `json:"alt"`
	svg  []byte
}

// Figure is a measured value beside the one to reach.
type Figure struct {
	What     string  `json:"what"`
	Measured float64 `json:"measured"`
	Unit     string  `json:"unit"`
	Limit    float64 `json:"limit"`
	// AtLeast: the limit is a floor; otherwise it is a ceiling.
	AtLeast bool   `json:"at_least,omitempty"`
	Note    string `json:"note,omitempty"`
}

// Reached says whether the value is on the right side of the limit.
func (f Figure) Reached() bool {
	if math.IsNaN(f.Measured) {
		return false
	}
	if f.AtLeast {
		return f.Measured >= f.Limit
	}
	return f.Measured <= f.Limit
}

// Samples are the measured values, one per run and name. In a file they are sorted by name.
type Samples map[string][]float64

// Add keeps the value of one run. What is no number could not be measured, and is left out.
func (s Samples) Add(name string, value float64) {
	if !math.IsNaN(value) && !math.IsInf(value, 0) {
		s[name] = append(s[name], value)
	}
}

// Median is the middle value over the runs, NaN when there is none.
func (s Samples) Median(name string) float64 { return Median(s[name]) }

// Most is the largest value over the runs, NaN when there is none. It is what to hold against a
// limit of nothing at all: a median would let one bad run of three pass.
func (s Samples) Most(name string) float64 {
	if len(s[name]) == 0 {
		return math.NaN()
	}
	return slices.Max(s[name])
}

// Least is the smallest value over the runs, NaN when there is none: for what each run is to reach.
func (s Samples) Least(name string) float64 {
	if len(s[name]) == 0 {
		return math.NaN()
	}
	return slices.Min(s[name])
}

// Ratio is the median over the runs of name's value divided by base's in the same run. It is NaN
// when the two have not been measured equally often.
func (s Samples) Ratio(name, base string) float64 {
	values, bases := s[name], s[base]
	if len(values) != len(bases) {
		return math.NaN()
	}
	var ratios []float64
	for i := range values {
		ratios = append(ratios, values[i]/bases[i])
	}
	return Median(ratios)
}

// Median is the middle of the values, the mean of the middle two, or NaN without any.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Table adds a table.
func (r *Result) Table(title string, columns []string, rows [][]string) {
	r.Tables = append(r.Tables, Table{title, slices.Clone(columns), rows})
}

// Plot adds a picture; name tells those of one bench apart.
func (r *Result) Plot(name, alt string, svg []byte) {
	file := r.Bench + ".svg"
	if name != "" {
		file = r.Bench + "-" + name + ".svg"
	}
	r.Plots = append(r.Plots, Plot{File: file, Alt: alt, svg: svg})
}

// Say adds a sentence on what the figures mean.
func (r *Result) Say(format string, args ...any) {
	r.Meaning = append(r.Meaning, fmt.Sprintf(format, args...))
}

// Reach adds a figure beside the one to reach. One that could not be measured is left out, since
// a file cannot hold it.
func (r *Result) Reach(f Figure) {
	if !math.IsNaN(f.Measured) && !math.IsInf(f.Measured, 0) {
		r.Figures = append(r.Figures, f)
	}
}

// Save writes the result and its pictures into folder, and removes the pictures of an earlier
// result that this one no longer has.
func (r *Result) Save(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	old, _ := filepath.Glob(filepath.Join(folder, r.Bench+"*.svg"))
	for _, file := range old {
		rest := strings.TrimPrefix(filepath.Base(file), r.Bench)
		if rest == ".svg" || strings.HasPrefix(rest, "-") {
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	for _, p := range r.Plots {
		if err := os.WriteFile(filepath.Join(folder, p.File), p.svg, 0o644); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("encode the result of %s: %w", r.Bench, err)
	}
	return os.WriteFile(filepath.Join(folder, r.Bench+".json"), append(text, '\n'), 0o644)
}

// Load reads a result. A missing file is no error: there is no result yet.
func Load(folder, bench string) (*Result, error) {
	text, err := os.ReadFile(filepath.Join(folder, bench+".json"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &Result{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("decode the result of %s: %w", bench, err)
	}
	return r, nil
}

// Number writes a value with as many digits as are worth reading.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case a == 0:
		return "0"
	case a >= 1000:
		return grouped(int64(math.Round(v)))
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// grouped writes 1,234,567.
func grouped(n int64) string {
	if n < 0 {
		return "-" + grouped(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
