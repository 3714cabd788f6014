package api

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocNamesEveryRoute holds the list in the package comment against the routes of Admin.
func TestDocNamesEveryRoute(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("admin.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	line := regexp.MustCompile(`(?m)^//\t([A-Z]+) +(/\S+)`)
	for _, found := range line.FindAllStringSubmatch(string(doc), -1) {
		listed[found[1]+" "+found[2]] = true
	}
	route := regexp.MustCompile(`d\.route\(mux, "([^"]+)",\s+methods\{([^}]+)\}`)
	method := regexp.MustCompile(`"([A-Z]+)":`)
	served := 0
	for _, found := range route.FindAllStringSubmatch(string(source), -1) {
		for _, m := range method.FindAllStringSubmatch(found[2], -1) {
			served++
			if !listed[m[1]+" "+found[1]] {
				t.Errorf("doc.go lacks %s %s", m[1], found[1])
			}
		}
	}
	if served != len(listed) || served != strings.Count(string(source), `": d.`) {
		t.Errorf("%d routes are found, doc.go lists %d, admin.go has %d handlers", served,
			len(listed), strings.Count(string(source), `": d.`))
	}
}
