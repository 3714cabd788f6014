package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"throng/bench/internal/matrix"
)

// Benches are the benches in the order of the page. The two that measure the million share a
// section each, since they run in different kernels.
var Benches = []string{"delivery", "against", "growth", "fairness", "million", "million-guest",
	"collector", "compression", "storms", "push", "guild", "presence", "parts", "pressure", "full",
	"tls", "fire", "restart", "soak", "seeing", "cluster"}

// matrixSection is the marker's name of the table of faults.
const matrixSection = "matrix"

// figuresSection is the marker's name of the table of figures to reach.
const figuresSection = "figures"

// SessionTable is the title of the table of bench million that README.md shows too, between the
// markers of that section.
const (
	SessionTable   = "A session at rest, part by part"
	sessionSection = "session"
)

const noResult = "No result yet.\n"

// Page is the text of the page with every section between markers made anew from the results in
// folder. A bench without a result keeps a sentence that says so.
func Page(page, folder string) (string, error) {
	var figures []Figure
	for _, bench := range Benches {
		r, err := Load(folder, bench)
		if err != nil {
			return "", err
		}
		section := noResult
		if r != nil {
			section = r.section()
			figures = append(figures, r.Figures...)
		}
		if page, err = Replace(page, bench, section); err != nil {
			return "", err
		}
	}
	faults, err := matrixTable(matrix.Rows, folder)
	if err != nil {
		return "", err
	}
	if page, err = Replace(page, matrixSection, faults); err != nil {
		return "", err
	}
	return Replace(page, figuresSection, figuresTable(figures))
}

// Readme is the text of README.md with the table of a session made anew.
func Readme(text, folder string) (string, error) {
	section := noResult
	r, err := Load(folder, "million")
	if err != nil {
		return "", err
	}
	if r != nil {
		for _, t := range r.Tables {
			if t.Title == SessionTable {
				var b strings.Builder
				table(&b, t.Columns, t.Rows)
				section = b.String()
			}
		}
	}
	return Replace(text, sessionSection, section)
}

// UpdatePages writes the two pages of a tree anew.
func UpdatePages(root string) error {
	folder := filepath.Join(root, "bench", "results")
	for _, page := range []struct {
		file string
		make func(text, folder string) (string, error)
	}{
		{filepath.Join(root, "bench", "README.md"), Page},
		{filepath.Join(root, "README.md"), Readme},
	} {
		old, err := os.ReadFile(page.file)
		if err != nil {
			return err
		}
		text, err := page.make(string(old), folder)
		if err != nil {
			return fmt.Errorf("%s: %w", page.file, err)
		}
		if text == string(old) {
			continue
		}
		if err := os.WriteFile(page.file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Replace puts text between <!-- name:start --> and <!-- name:end -->.
func Replace(page, name, text string) (string, error) {
	start, end := "<!-- "+name+":start -->\n", "<!-- "+name+":end -->"
	head, rest, ok := strings.Cut(page, start)
	if !ok {
		return "", fmt.Errorf("there is no line %q", strings.TrimSpace(start))
	}
	_, tail, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("there is no line %q after its start", end)
	}
	return head + start + text + end + tail, nil
}

// section is what the page says of one result.
func (r *Result) section() string {
	var b strings.Builder
	for _, t := range r.Tables {
		if t.Title != "" {
			fmt.Fprintf(&b, "%s\n\n", t.Title)
		}
		table(&b, t.Columns, t.Rows)
		b.WriteByte('\n')
	}
	for _, p := range r.Plots {
		fmt.Fprintf(&b, "![%s](results/%s)\n\n", p.Alt, p.File)
	}
	for _, sentence := range r.Meaning {
		fmt.Fprintf(&b, "%s\n", sentence)
	}
	if len(r.Meaning) > 0 {
		b.WriteByte('\n')
	}
	commit := r.Commit
	if len(commit) > 12 {
		commit = commit[:12]
	}
	runs := "One run"
	if r.Runs > 1 {
		runs = fmt.Sprintf("Medians of %d runs", r.Runs)
	}
	fmt.Fprintf(&b, "%s, commit `%s`, %s; `%s`%s, %.0f s. %s. All values: "+
		"[%s.json](results/%s.json).\n", runs, commit, r.Date, r.Command, r.flags(), r.Seconds,
		r.Machine, r.Bench, r.Bench)
	return b.String()
}

func (r *Result) flags() string {
	if len(r.Flags) == 0 {
		return ""
	}
	return " with `" + strings.Join(r.Flags, " ") + "`"
}

func table(b *strings.Builder, columns []string, rows [][]string) {
	fmt.Fprintf(b, "| %s |\n|", strings.Join(columns, " | "))
	for i := range columns {
		if i == 0 {
			b.WriteString("---|")
		} else {
			b.WriteString("---:|")
		}
	}
	b.WriteByte('\n')
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

// figuresTable is the table of what is to be reached.
func figuresTable(figures []Figure) string {
	if len(figures) == 0 {
		return noResult
	}
	var rows [][]string
	for _, f := range figures {
		state := "reached"
		if !f.Reached() {
			state = "**not reached**"
		}
		if f.Note != "" {
			state += ", " + f.Note
		}
		rows = append(rows, []string{f.What, f.bound(),
			strings.TrimSpace(Number(f.Measured) + " " + f.Unit), state})
	}
	var b strings.Builder
	table(&b, []string{"what", "to reach", "measured", ""}, rows)
	return b.String()
}

// bound is what is to be reached.
func (f Figure) bound() string {
	sign := "≤"
	if f.AtLeast {
		sign = "≥"
	}
	limit := strconv.FormatFloat(f.Limit, 'f', -1, 64)
	return strings.TrimSpace(sign + " " + limit + " " + f.Unit)
}

// Text is the result for a terminal.
func (r *Result) Text() string {
	var b strings.Builder
	for _, t := range r.Tables {
		widths := make([]int, len(t.Columns))
		for _, row := range append([][]string{t.Columns}, t.Rows...) {
			for i, cell := range row {
				widths[i] = max(widths[i], len([]rune(cell)))
			}
		}
		fmt.Fprintf(&b, "\n%s\n", t.Title)
		for _, row := range append([][]string{t.Columns}, t.Rows...) {
			for i, cell := range row {
				pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
				if i == 0 {
					b.WriteString(cell + pad)
				} else {
					b.WriteString("  " + pad + cell)
				}
			}
			b.WriteByte('\n')
		}
	}
	b.WriteByte('\n')
	for _, sentence := range r.Meaning {
		b.WriteString(sentence + "\n")
	}
	if len(r.Figures) > 0 {
		b.WriteString("\n" + figuresTable(r.Figures))
	}
	return b.String()
}
