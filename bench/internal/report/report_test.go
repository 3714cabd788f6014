package report

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"odd", []float64{9, 1, 5}, 5},
		{"even", []float64{4, 1, 2, 100}, 3},
		{"one", []float64{7}, 7},
	} {
		if got := Median(test.values); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("of nothing: got %v, want NaN", got)
	}
	values := []float64{3, 1, 2}
	Median(values)
	if !slices.Equal(values, []float64{3, 1, 2}) {
		t.Errorf("Median has sorted its argument: %v", values)
	}
}

func TestMostAndLeast(t *testing.T) {
	s := Samples{"refused": {0, 7, 0}, "fewer": {-3, -1, -2}}
	if got := s.Most("refused"); got != 7 {
		t.Errorf("of one bad run in three: got %v, want 7", got)
	}
	if got := s.Most("fewer"); got != -1 {
		t.Errorf("below zero: got %v, want -1", got)
	}
	if got := s.Least("fewer"); got != -3 {
		t.Errorf("the smallest: got %v, want -3", got)
	}
	if got := s.Least("unknown"); !math.IsNaN(got) {
		t.Errorf("the smallest of nothing: got %v, want NaN", got)
	}
	if got := s.Most("unknown"); !math.IsNaN(got) {
		t.Errorf("of nothing: got %v, want NaN", got)
	}
}

// figure is one that stands in a bench's source.
var figure = regexp.MustCompile(`report\.Figure\{[^{}]*\}`)

// TestNoneIsOfEachRun: no bench holds the median of its runs against a limit of nothing.
func TestNoneIsOfEachRun(t *testing.T) {
	files, err := filepath.Glob("../../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	none := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range figure.FindAllString(string(text), -1) {
			if !strings.HasSuffix(f, "Limit: 0}") {
				continue
			}
			if none++; strings.Contains(f, "Median(") {
				t.Errorf("%s judges none by the median: %s", file, f)
			}
		}
	}
	if none == 0 {
		t.Error("there is no figure with a limit of nothing")
	}
}

func TestRatioIsTakenWithinEachRun(t *testing.T) {
	s := Samples{}
	// The machine is twice as slow in the second run, and both sides see it.
	for _, run := range [][2]float64{{8, 4}, {16, 8}, {8, 4}} {
		s.Add("ours", run[0])
		s.Add("floor", run[1])
	}
	if got := s.Ratio("ours", "floor"); got != 2 {
		t.Errorf("got %v, want 2", got)
	}
	s.Add("ours", 1)
	if got := s.Ratio("ours", "floor"); !math.IsNaN(got) {
		t.Errorf("with a run too few: got %v, want NaN", got)
	}
	s.Add("floor", math.NaN())
	if got := len(s["floor"]); got != 3 {
		t.Errorf("what is no number was kept: %d values", got)
	}
}

func TestFigureReached(t *testing.T) {
	for _, test := range []struct {
		figure Figure
		want   bool
	}{
		{Figure{Measured: 1.1, Limit: 1.15}, true},
		{Figure{Measured: 1.2, Limit: 1.15}, false},
		{Figure{Measured: 5.2, Limit: 5, AtLeast: true}, true},
		{Figure{Measured: 4.9, Limit: 5, AtLeast: true}, false},
		{Figure{Measured: math.NaN(), Limit: 5}, false},
	} {
		if got := test.figure.Reached(); got != test.want {
			t.Errorf("%+v: got %v, want %v", test.figure, got, test.want)
		}
	}
}

func TestReplaceBetweenMarkers(t *testing.T) {
	page := "a\n<!-- x:start -->\nold\n<!-- x:end -->\nb\n"
	got, err := Replace(page, "x", "new\n")
	if want := strings.Replace(page, "old", "new", 1); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	again, err := Replace(got, "x", "new\n")
	if err != nil || again != got {
		t.Errorf("a second time gives %q, %v", again, err)
	}
	for _, broken := range []string{"", "<!-- x:start -->\n", "<!-- x:end -->"} {
		if _, err := Replace(broken, "x", ""); err == nil {
			t.Errorf("%q was taken", broken)
		}
	}
}

// example is a result with everything in it.
func example() *Result {
	r := &Result{Bench: "delivery", Question: "what?", Command: "go run ./bench/delivery",
		Commit: "0123456789abcdef", Date: "2026-11-21", Runs: 3, Samples: Samples{}}
	r.Samples.Add("a", 1.5)
	r.Table("Cost", []string{"side", "µs"}, [][]string{{"ours", "1.50"}})
	r.Plot("", "bars", []byte("<svg/>"))
	r.Plot("wide", "more bars", []byte("<svg></svg>"))
	r.Say("It costs %s.", Number(1.5))
	r.Reach(Figure{What: "cost", Measured: 1.5, Unit: "µs", Limit: 2})
	r.Reach(Figure{What: "unknown", Measured: math.NaN(), Limit: 2})
	return r
}

func TestResultSurvivesItsFile(t *testing.T) {
	folder := t.TempDir()
	stale := filepath.Join(folder, "delivery-old.svg")
	other := filepath.Join(folder, "deliveryhouse.svg")
	for _, file := range []string{stale, other} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := example()
	if err := r.Save(folder); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(folder, "delivery")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := loaded.section(), r.section(); got != want {
		t.Errorf("the loaded result renders as\n%s\nwant\n%s", got, want)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("an old picture is still there: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("another bench's picture is gone: %v", err)
	}
	if none, err := Load(folder, "growth"); none != nil || err != nil {
		t.Errorf("a missing result is %v, %v", none, err)
	}
}

func TestPageShowsResults(t *testing.T) {
	folder := t.TempDir()
	if err := example().Save(folder); err != nil {
		t.Fatal(err)
	}
	page := ""
	for _, name := range append([]string{figuresSection, matrixSection}, Benches...) {
		page += "<!-- " + name + ":start -->\n<!-- " + name + ":end -->\n"
	}
	got, err := Page(page, folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| ours | 1.50 |", "![bars](results/delivery.svg)",
		"| cost | ≤ 2 µs | 1.50 µs | reached |", "It costs 1.50.", "`0123456789ab`",
		"No result yet."} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q:\n%s", want, got)
		}
	}
	if _, err := Page("", folder); err == nil {
		t.Error("a page without markers was taken")
	}
}

func TestReadmeShowsTheTableOfASession(t *testing.T) {
	folder, readme := t.TempDir(), "<!-- session:start -->\n<!-- session:end -->\n"
	r := &Result{Bench: "million", Samples: Samples{}}
	r.Table("", []string{"a", "b"}, [][]string{{"other", "7"}})
	for _, want := range []string{"\nNo result yet.\n", "\n| socket | 160 |\n"} {
		if err := r.Save(folder); err != nil {
			t.Fatal(err)
		}
		got, err := Readme(readme, folder)
		if err != nil || !strings.Contains(got, want) || strings.Contains(got, "other") {
			t.Errorf("got %q, %v, want %q in it", got, err, want)
		}
		r.Table(SessionTable, []string{"part", "B"}, [][]string{{"socket", "160"}})
	}
}

// TestPagesAreWhatTheResultsSay holds bench/README.md and README.md to the files in bench/results.
func TestPagesAreWhatTheResultsSay(t *testing.T) {
	for file, page := range map[string]func(text, folder string) (string, error){
		"../../README.md": Page, "../../../README.md": Readme,
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := page(string(text), "../../results")
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != want {
			t.Errorf("%s is not what the results say; go run ./bench/page writes it anew", file)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.254: "0.25", 1: "1.00", 17.36: "17.4", 129.4: "129", 1234567: "1,234,567",
		-9000: "-9,000", 1005: "1,005",
	} {
		if got := Number(v); got != want {
			t.Errorf("Number(%v) is %s, want %s", v, got, want)
		}
	}
	if got := Number(math.NaN()); got != "-" {
		t.Errorf("Number(NaN) is %s, want -", got)
	}
}
