package report

import (
	"fmt"
	"strings"

	"throng/bench/internal/matrix"
)

// matrixTable is the table of faults, with the figures that the results in folder have.
func matrixTable(rows []matrix.Row, folder string) (string, error) {
	var cells [][]string
	for i, row := range rows {
		figures := []string{}
		if row.Held != "" {
			figures = append(figures, row.Held)
		}
		by := []string{}
		for _, name := range row.By {
			by = append(by, proofOf(name))
		}
		for _, name := range row.Benches {
			bench, what, _ := strings.Cut(name, ":")
			if proof := "`bench/" + bench + "`"; !strings.Contains(strings.Join(by, " "), proof) {
				by = append(by, proof)
			}
			figure, err := figureOf(folder, bench, what)
			if err != nil {
				return "", err
			}
			figures = append(figures, shown(figure, bench, what))
		}
		cells = append(cells, []string{fmt.Sprint(i + 1), row.Fault, row.Then,
			strings.Join(by, ", "), strings.Join(figures, "; ")})
	}
	var b strings.Builder
	b.WriteString("| # | fault | what happens | held by | figure |\n|---:|---|---|---|---|\n")
	for _, row := range cells {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return b.String(), nil
}

// proofOf is how the page names a test or a step of CI.
func proofOf(name string) string {
	folder, test, _ := strings.Cut(name, ":")
	switch folder {
	case "ci":
		return fmt.Sprintf("`.ci/run`, %s", test)
	case "nightly":
		return fmt.Sprintf("`.ci/nightly`, %s", test)
	}
	return fmt.Sprintf("`%s` %s", folder, test)
}

// figureOf is what a bench's result says of a figure, or nil.
func figureOf(folder, bench, what string) (*Figure, error) {
	r, err := Load(folder, bench)
	if err != nil || r == nil {
		return nil, err
	}
	for i := range r.Figures {
		if r.Figures[i].What == what {
			return &r.Figures[i], nil
		}
	}
	return nil, nil
}

// shown is a figure beside what is to be reached.
func shown(f *Figure, bench, what string) string {
	if f == nil {
		return fmt.Sprintf("%s: no result yet, `go run ./bench/%s`", what, bench)
	}
	reached := ""
	if !f.Reached() {
		reached = ", **not reached**"
	}
	measured := strings.TrimSpace(Number(f.Measured) + " " + f.Unit)
	return fmt.Sprintf("%s: %s (%s%s)", what, measured, f.bound(), reached)
}
