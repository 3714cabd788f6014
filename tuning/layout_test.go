package tuning

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The house rules of the whole repository, held mechanically. They are tested here because the
// top level holds nothing but what topLevel names.

// topLevel is every entry of the repository's root.
var topLevel = []string{
	".ci", ".gitignore", "LICENSE", "README.md", "SECURITY.md", "bench", "fanout", "go.mod",
	"go.sum", "main.go", "node", "store", "tuning", "wire",
}

// imports says what each part may import of the others. A part's own sub-packages are allowed.
var imports = map[string][]string{
	"main":   {"node", "tuning", "bench"},
	"node":   {"fanout", "store", "wire", "tuning"},
	"fanout": {"store", "wire"},
	"store":  {},
	"wire":   {},
	"tuning": {},
	"bench":  {"wire", "tuning"},
}

// modules says which modules a part may import beside the standard library, for the parts that
// must stay small; others may import what go.mod has.
var modules = map[string][]string{
	"wire":   {"github.com/klauspost/compress"},
	"tuning": {"golang.org/x/sys"},
	"fanout": {},
}

// skips are the tests that may skip, as "folder/file_test.go:Function", with the reason. Each must
// still run somewhere in .ci/run.
var skips = map[string]string{
	"bench/clients/javascript_test.go:needNode":          "needs Node and npm ci; fails where CI is set",
	"bench/cluster/cluster_test.go:TestThreeNodes":       "starts real servers; left out with -short",
	"bench/cluster/nemesis_test.go:TestNemesis":          "minutes of harm by chance; needs -nemesis",
	"node/browser_test.go:needChromium":                  "needs Chromium; fails where CI is set",
	"node/clusterrig_test.go:needEngines":                "starts real servers; left out with -short",
	"node/cluster/driver_test.go:needEngines":            "starts real servers; left out with -short",
	"node/cluster/replica/jetstream_test.go:needEngines": "starts real servers; left out with -short",
	"node/ops_test.go:TestPromtoolTakesTheRules":         "needs promtool; fails where CI is set",
	"wire/program_test.go:TestZstdProgramReadsTheStream": "needs zstd; fails where CI is set",
}

const (
	fileLinesMax        = 500
	functionLinesMax    = 70
	columnsMax          = 100
	tabColumns          = 4
	packageCommentLines = 6
	readmeLinesMax      = 250
)

// source is one parsed Go file.
type source struct {
	name string // Slash-separated, from the root.
	part string // Its top-level folder, or "main".
	text []byte
	set  *token.FileSet
	file *ast.File
}

func (s *source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

// ignored reads .gitignore well enough for this repository's: names, folders, one star.
func ignored(t *testing.T) func(name string) bool {
	text, err := os.ReadFile("../.gitignore")
	if err != nil {
		t.Fatal(err)
	}
	patterns := strings.Fields(string(text))
	return func(name string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			pattern = strings.TrimSuffix(pattern, "/")
			candidate := path.Base(name)
			if rooted, ok := strings.CutPrefix(pattern, "/"); ok {
				pattern, candidate = rooted, name
			}
			match, err := path.Match(pattern, candidate)
			return match && err == nil
		})
	}
}

// eachFile calls f for every file of the repository, with its slash-separated name.
func eachFile(t *testing.T, f func(name string)) {
	skip := ignored(t)
	err := filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel("..", file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if name != "." && (name == ".git" || skip(name)) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.IsDir() {
			f(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sources parses every Go file but those in testdata.
func sources(t *testing.T) []*source {
	var all []*source
	eachFile(t, func(name string) {
		if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") {
			return
		}
		text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		s := &source{name: name, part: "main", text: text, set: token.NewFileSet()}
		if folder, _, ok := strings.Cut(name, "/"); ok {
			s.part = folder
		}
		s.file, err = parser.ParseFile(s.set, name, text, parser.ParseComments)
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		all = append(all, s)
	})
	return all
}

func TestLayoutTopLevel(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	skip := ignored(t)
	var got []string
	for _, entry := range entries {
		if name := entry.Name(); name != ".git" && !skip(name) {
			got = append(got, name)
		}
	}
	if !slices.Equal(got, topLevel) {
		t.Errorf("top level is\n%v, want\n%v", got, topLevel)
	}
}

func TestLayoutImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if fault := importFault(s, imported); fault != "" {
				t.Errorf("%s imports %s: %s", s.name, imported, fault)
			}
		}
	}
}

func importFault(s *source, imported string) string {
	if ours, ok := strings.CutPrefix(imported, "throng/"); ok {
		part, _, _ := strings.Cut(ours, "/")
		if part != s.part && !slices.Contains(imports[s.part], part) {
			return fmt.Sprintf("%s may import %v", s.part, imports[s.part])
		}
		return ""
	}
	first, _, _ := strings.Cut(imported, "/")
	allowed, small := modules[s.part]
	if !strings.Contains(first, ".") || !small || s.isTest() {
		return ""
	}
	for _, module := range allowed {
		if imported == module || strings.HasPrefix(imported, module+"/") {
			return ""
		}
	}
	return fmt.Sprintf("%s may import the standard library and %v", s.part, allowed)
}

// TestLayoutPureParts holds that wire, store and fanout have no goroutine, no clock and no socket,
// which is what lets a seeded simulation replay a node. Drivers, such as store/disk, are outside.
func TestLayoutPureParts(t *testing.T) {
	pure := []string{"wire", "store", "fanout"}
	touches := regexp.MustCompile(`^(time\.(Now|Since|Until|Sleep|After|AfterFunc|Tick|New.*)|` +
		`net\.(Dial|Listen|Lookup|Resolve|File).*)$`)
	for _, s := range sources(t) {
		if s.isTest() || !slices.Contains(pure, path.Dir(s.name)) {
			continue
		}
		for _, spec := range s.file.Imports {
			switch imported, _ := strconv.Unquote(spec.Path.Value); imported {
			case "net/http", "os", "syscall", "context", "math/rand", "math/rand/v2":
				t.Errorf("%s imports %s", s.name, imported)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", s.set.Position(n.Pos()))
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if ok && touches.MatchString(x.Name+"."+n.Sel.Name) {
					t.Errorf("%s uses %s.%s", s.set.Position(n.Pos()), x.Name, n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestLayoutSizes(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		if got := bytes.Count(s.text, []byte("\n")); got > fileLinesMax {
			t.Errorf("%s has %d lines, at most %d", s.name, got, fileLinesMax)
		}
		number := 0
		for line := range strings.Lines(string(s.text)) {
			number++
			line = strings.TrimSuffix(line, "\n")
			columns := len([]rune(line)) + strings.Count(line, "\t")*(tabColumns-1)
			if columns > columnsMax {
				t.Errorf("%s:%d has %d columns, at most %d", s.name, number, columns, columnsMax)
			}
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || mayBeLong(f) {
				continue
			}
			lines := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1
			if lines > functionLinesMax {
				t.Errorf("%s: %s has %d lines, at most %d", s.set.Position(f.Pos()), f.Name.Name,
					lines, functionLinesMax)
			}
		}
	}
}

// mayBeLong: a dispatch switch asks for it with a comment "//style:long reason".
func mayBeLong(f *ast.FuncDecl) bool {
	const directive = "//style:long "
	return f.Doc != nil && slices.ContainsFunc(f.Doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, directive) && len(c.Text) > len(directive)+10
	})
}

func TestLayoutREADMELength(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(text, []byte("\n")); got > readmeLinesMax {
		t.Errorf("README.md has %d lines, at most %d", got, readmeLinesMax)
	}
}

func TestLayoutPackageComments(t *testing.T) {
	lines := map[string]int{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		folder := path.Dir(s.name)
		lines[folder] += 0
		if s.file.Doc != nil {
			doc := strings.TrimSpace(s.file.Doc.Text())
			lines[folder] = max(lines[folder], strings.Count(doc, "\n")+1)
		}
	}
	for folder, got := range lines {
		if got < packageCommentLines {
			t.Errorf("package comment of %s has %d lines, at least %d", folder, got,
				packageCommentLines)
		}
	}
}

func TestLayoutFormat(t *testing.T) {
	for _, s := range sources(t) {
		want, err := format.Source(s.text)
		if err != nil || !bytes.Equal(s.text, want) {
			t.Errorf("%s is not as gofmt writes it: %v", s.name, err)
		}
	}
}

func TestLayoutSkips(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		if !s.isTest() {
			continue
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				selector, ok := n.(*ast.SelectorExpr)
				if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, selector.Sel.Name) {
					return true
				}
				key := s.name + ":" + f.Name.Name
				used[key] = true
				if skips[key] == "" {
					t.Errorf("%s may skip without a reason in skips: %s",
						s.set.Position(selector.Pos()), key)
				}
				return true
			})
		}
	}
	for key := range skips {
		if !used[key] {
			t.Errorf("skips has %s, which does not skip", key)
		}
	}
}

// TestLayoutFuzzTargets holds that .ci/run, which finds fuzz targets by their first line, finds all,
// and that each has a corpus, which plain go test runs.
func TestLayoutFuzzTargets(t *testing.T) {
	ci, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	const find = `^func (Fuzz[A-Za-z0-9_]*)\(.*`
	if !strings.Contains(string(ci), "sed -nE 's/"+find+"/\\1/p'") ||
		!strings.Contains(string(ci), `-test.fuzz "^$target\$" -test.fuzztime`) {
		t.Fatal(".ci/run has no step that runs what it finds")
	}
	found := regexp.MustCompile("(?m)" + find)
	targets := 0
	for _, s := range sources(t) {
		names := map[string]bool{}
		for _, line := range found.FindAllStringSubmatch(string(s.text), -1) {
			names[line[1]] = true
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			f, ok := n.(*ast.FuncDecl)
			if !ok || !s.isTest() || f.Recv != nil || len(f.Type.Params.List) != 1 {
				return true
			}
			var b bytes.Buffer
			_ = format.Node(&b, s.set, f.Type.Params.List[0].Type)
			if b.String() != "*testing.F" {
				return true
			}
			if targets++; !names[f.Name.Name] {
				t.Errorf("%s: .ci/run does not find %s", s.set.Position(f.Pos()), f.Name.Name)
			}
			corpus := path.Join("..", path.Dir(s.name), "testdata/fuzz", f.Name.Name, "*")
			if inputs, _ := filepath.Glob(corpus); len(inputs) == 0 {
				t.Errorf("%s has no corpus in %s", f.Name.Name, corpus)
			}
			return true
		})
	}
	if targets < 20 {
		t.Errorf("%d fuzz targets are there", targets)
	}
}

// TestLayoutNothingLeftOpen: what is not done is an issue, not a mark in the source.
func TestLayoutNothingLeftOpen(t *testing.T) {
	mark := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	eachFile(t, func(name string) {
		if !slices.Contains([]string{".go", ".js", ".mjs", ".md", ".sh", ""}, path.Ext(name)) {
			return
		}
		text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			if found := mark.FindString(line); found != "" {
				t.Errorf("%s:%d: %s", name, number, found)
			}
		}
	})
}
