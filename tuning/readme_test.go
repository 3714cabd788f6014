package tuning

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestREADMEReadsTheSource follows the steps of a delivery: each file is there, and has the
// function that is named after it.
func TestREADMEReadsTheSource(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "\n## Reading the source\n")
	section, _, _ := strings.Cut(rest, "\n## ")
	steps := regexp.MustCompile(`(?m)^\d\. .*$`).FindAllString(section, -1)
	if len(steps) != 8 {
		t.Fatalf("README has %d steps of a delivery, want 8", len(steps))
	}
	for _, step := range steps {
		var folder, name string
		var text []byte
		for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(step, -1) {
			word := quoted[1]
			if strings.HasSuffix(word, ".go") {
				if strings.Contains(word, "/") {
					folder = filepath.Dir(word)
				}
				name = filepath.Join("..", folder, filepath.Base(word))
				if text, err = os.ReadFile(name); err != nil {
					t.Errorf("%s: %v", step, err)
				}
				continue
			}
			declared := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + word + `\(`)
			if !declared.Match(text) {
				t.Errorf("%s: %s has no func %s", step, name, word)
			}
		}
		if name == "" {
			t.Errorf("%s: names no file", step)
		}
	}
}
