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
			figures = append(figures, figure)
		}
		if row.Lacks != "" {
			figures = append(figures, "**missing: "+row.Lacks+"**")
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

// figureOf is a figure of a bench beside what is to be reached.
func figureOf(folder, bench, what string) (string, error) {
	r, err := Load(folder, bench)
	if err != nil {
		return "", err
	}
	if r != nil {
		for _, f := range r.Figures {
			if f.What == what {
				measured := strings.TrimSpace(Number(f.Measured) + " " + f.Unit)
				return fmt.Sprintf("%s: %s (%s)", what, measured, f.bound()), nil
			}
		}
	}
	return fmt.Sprintf("%s: no result yet, `go run ./bench/%s`", what, bench), nil
}
