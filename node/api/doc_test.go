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
	listed := map[string]bool{}
	line := regexp.MustCompile(`(?m)^//\t([A-Z]+) +(/\S+)`)
	for _, found := range line.FindAllStringSubmatch(string(doc), -1) {
		listed[found[1]+" "+found[2]] = true
	}
	routes := adminRoutes(t)
	for _, r := range routes {
		if !listed[r.method+" "+r.path] {
			t.Errorf("doc.go lacks %s %s", r.method, r.path)
		}
	}
	if len(routes) != len(listed) {
		t.Errorf("%d routes are found, doc.go lists %d", len(routes), len(listed))
	}
}

type adminRoute struct{ method, path string }

// adminRoutes are the routes of Admin as the source has them, since a ServeMux does not list its
// own.
func adminRoutes(t *testing.T) (routes []adminRoute) {
	t.Helper()
	source, err := os.ReadFile("admin.go")
	if err != nil {
		t.Fatal(err)
	}
	route := regexp.MustCompile(`d\.route\(mux, "([^"]+)",\s+methods\{([^}]+)\}`)
	method := regexp.MustCompile(`"([A-Z]+)":`)
	for _, found := range route.FindAllStringSubmatch(string(source), -1) {
		for _, m := range method.FindAllStringSubmatch(found[2], -1) {
			routes = append(routes, adminRoute{m[1], found[1]})
		}
	}
	if handlers := strings.Count(string(source), `": d.`); len(routes) != handlers {
		t.Fatalf("%d routes are found, admin.go has %d handlers", len(routes), handlers)
	}
	return routes
}
