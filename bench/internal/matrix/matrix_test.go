package matrix

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// TestRowsAreHeld: each row says what holds it, and what it names is there.
func TestRowsAreHeld(t *testing.T) {
	if len(Rows) != 38 {
		t.Errorf("there are %d rows, want 38", len(Rows))
	}
	texts := files{}
	for i, row := range Rows {
		number := i + 1
		if row.Fault == "" || row.Then == "" {
			t.Errorf("row %d does not say what happens", number)
		}
		if len(row.By) == 0 {
			t.Errorf("row %d is held by nothing", number)
		}
		if row.Held == "" && len(row.Benches) == 0 {
			t.Errorf("row %d has no figure", number)
		}
		for _, by := range row.By {
			folder, name, _ := strings.Cut(by, ":")
			line, where := "\nfunc "+name+"(", folder+"/*_test.go"
			script, ok := map[string]string{"ci": ".ci/run", "nightly": ".ci/nightly"}[folder]
			if ok {
				line, where = "\nstep "+name+"\n", script
			}
			if !strings.Contains(texts.read(t, where), line) {
				t.Errorf("row %d: there is no %s", number, by)
			}
		}
		for _, figure := range row.Benches {
			bench, what, _ := strings.Cut(figure, ":")
			// A name that a bench puts together is in its result alone, if it has one.
			said := texts.read(t, "bench/"+bench+"/*.go")
			if result, err := os.ReadFile(root + "/bench/results/" + bench + ".json"); err == nil {
				said += string(result)
			}
			if !strings.Contains(said, `"`+what+`"`) {
				t.Errorf("row %d: no bench has the figure %s", number, figure)
			}
		}
	}
}

// files are texts by the patterns of their names.
type files map[string]string

// read is the text of all files of a pattern.
func (f files) read(t *testing.T, pattern string) string {
	t.Helper()
	if text, known := f[pattern]; known {
		return text
	}
	names, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("there is no %s, %v", pattern, err)
	}
	var all strings.Builder
	for _, file := range names {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
		all.WriteByte('\n')
	}
	f[pattern] = all.String()
	return f[pattern]
}
