package tuning

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write README's limits table")

// limitFiles declare limits: those that README lists, and those that no client meets.
var limitFiles = []string{"limits.go", "push.go", "cluster.go", "inner.go",
	"pressure.go"}

// constants are the names that a file declares, in its order.
func constants(t *testing.T, name string) []string {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, decl := range file.Decls {
		if general, ok := decl.(*ast.GenDecl); ok && general.Tok == token.CONST {
			for _, spec := range general.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if name.Name != "_" {
						declared = append(declared, name.Name)
					}
				}
			}
		}
	}
	return declared
}

func TestTableNamesEveryLimit(t *testing.T) {
	declared, table := constants(t, "limits.go"), Table()
	if len(table) != len(declared) {
		t.Errorf("Table has %d rows, limits.go %d constants", len(table), len(declared))
	}
	for i := range min(len(table), len(declared)) {
		if table[i].Name != declared[i] {
			t.Fatalf("row %d is %s, want %s, the order of limits.go", i, table[i].Name, declared[i])
		}
		if table[i].Value == "" || table[i].Unit == "" || (table[i].Reason == "") != table[i].Also {
			t.Errorf("row %s is incomplete: %+v", table[i].Name, table[i])
		}
	}
}

// TestLimitsAreInForce holds that each limit is used by code, since a bound that is only written
// down is none. What those files say of them in other constants does not count.
func TestLimitsAreInForce(t *testing.T) {
	used := map[string]bool{
		"DeadAfter": true, // HeartbeatDeadAfter computes it for any interval.
	}
	for _, s := range sources(t) {
		if s.isTest() || s.name == "tuning/table.go" {
			continue
		}
		for _, decl := range s.file.Decls {
			general, ok := decl.(*ast.GenDecl)
			if ok && general.Tok == token.CONST && path.Dir(s.name) == "tuning" &&
				slices.Contains(limitFiles, path.Base(s.name)) {
				continue
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if name, ok := n.(*ast.Ident); ok && s.part == "tuning" {
					used[name.Name] = true
				}
				if selector, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := selector.X.(*ast.Ident); ok && x.Name == "tuning" {
						used[selector.Sel.Name] = true
					}
				}
				return true
			})
		}
	}
	for _, file := range limitFiles {
		for _, name := range constants(t, file) {
			if !used[name] {
				t.Errorf("%s is not used: enforce it, or take it out of %s", name, file)
			}
		}
	}
}

// TestREADMELimits holds that README shows the figures in force. After a change of limits.go:
// go test ./tuning -run README -update
func TestREADMELimits(t *testing.T) {
	const name, start, end = "../README.md", "<!-- limits:start -->\n", "<!-- limits:end -->"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, okStart := strings.Cut(string(text), start)
	got, after, okEnd := strings.Cut(rest, end)
	if !okStart || !okEnd {
		t.Fatalf("README.md has no %q and %q", start, end)
	}
	want := Markdown(Table())
	if got == want {
		return
	}
	if !*update {
		t.Fatal("README's limits differ: go test ./tuning -run README -update")
	}
	if err := os.WriteFile(name, []byte(before+start+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDescriptorsKeepTheReserve(t *testing.T) {
	for _, c := range []struct {
		name          string
		limit         uint64
		loops         int
		gateway, http int
	}{
		{"nothing known", 0, 2, 0, 96},
		{"smaller than the reserve", 60, 2, 0, 96},
		{"a test's limit", 300, 2, 300 - 120 - 6, 96},
		{"a shell's limit", 1024, 4, 1024 - 120 - 12, 96},
		{"a build machine", 20_000, 2, 20_000 - 120 - 6 - (312 - 96), 312},
		{"a million", 1 << 20, 64, 1<<20 - 120 - 192 - (4096 - 96), 4096},
		{"no limit at all", 1<<64 - 1, 1, 1<<30 - 120 - 3 - (4096 - 96), 4096},
	} {
		t.Run(c.name, func(t *testing.T) {
			gateway, http := Descriptors(c.limit, c.loops)
			if gateway != c.gateway || http != c.http {
				t.Errorf("got %d and %d, want %d and %d", gateway, http, c.gateway, c.http)
			}
		})
	}
}

func TestHeartbeatDeadAfterDefault(t *testing.T) {
	if got := HeartbeatDeadAfter(HeartbeatInterval); got != DeadAfter {
		t.Errorf("got %v, want %v", got, DeadAfter)
	}
}
