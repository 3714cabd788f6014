package node

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// expressions is what bench/ops asks Prometheus: by alert, or by title of a panel.
func expressions(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	rules, err := os.ReadFile("../bench/ops/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("../bench/ops/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`- alert: (\w+)\n +expr: (.*)\n`)
	for _, found := range rule.FindAllStringSubmatch(string(rules), -1) {
		all[found[1]] = []string{found[2]}
		if !strings.Contains(string(tests), `{alertname="`+found[1]+`"}`) {
			t.Errorf("alerts_test.yml does not have %s fire", found[1])
		}
	}
	if want := strings.Count(string(rules), "- alert:"); len(all) != want || want < 10 ||
		want != strings.Count(string(rules), " do: \"") {
		t.Errorf("%d alerts are read of %d, or one does not say what to do", len(all), want)
	}
	text, err := os.ReadFile("../bench/ops/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if p.Type != "row" && len(p.Targets) == 0 || all[p.Title] != nil {
			t.Errorf("panel %q asks nothing, or there are two", p.Title)
		}
		for _, target := range p.Targets {
			all[p.Title] = append(all[p.Title], target.Expr)
		}
	}
	return all
}

// inClustersOnly are metrics that a node has which is one of many.
var inClustersOnly = []string{"throng_lease_seconds", "throng_log_sequence", "throng_adrift",
	"throng_cluster_nodes", "throng_links", "throng_handoffs", "throng_bus_bytes_total"}

// withTLSOnly are those of a node that has a certificate.
var withTLSOnly = []string{"throng_tls_certificate_expiry_seconds"}

// lacking is what the expressions name and the text of /metrics has not: a metric, a label of it,
// or a value that the label is to have.
func lacking(t *testing.T, metrics string, but []string) (missing []string) {
	t.Helper()
	selector := regexp.MustCompile(`\b((?:throng|go|process)_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher := regexp.MustCompile(`(\w+)(=~|=)"([^"]*)"`)
	for where, asked := range expressions(t) {
		for _, found := range selector.FindAllStringSubmatch(strings.Join(asked, "\n"), -1) {
			name, series := found[1], ""
			if slices.Contains(but, name) {
				continue
			}
			for line := range strings.Lines(metrics) {
				if strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
					series += line
				}
			}
			if series == "" {
				missing = append(missing, where+": "+name)
			}
			for _, m := range matcher.FindAllStringSubmatch(found[2], -1) {
				switch label, want := m[1], m[3]; {
				case label == "instance" || label == "job": // Prometheus adds these.
				case !strings.Contains(series, label+`="`+want+`"`):
					missing = append(missing, where+": "+name+" with "+m[0])
				}
			}
		}
	}
	return missing
}

// busyRig is a node that has something to show.
func busyRig(t *testing.T, r *rig) (metrics string) {
	t.Helper()
	r.user(1, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	r.publish(100, 1)
	c.wantNumber(1)
	_, metrics, err := r.get("admin", "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	return metrics
}

// TestDashboardAsksForWhatThereIs holds dashboard and alerts against /metrics.
func TestDashboardAsksForWhatThereIs(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{})
	r.until("memory has been looked at", func() bool { return r.core.memory.Load() != nil })
	metrics := busyRig(t, r)
	for _, name := range lacking(t, metrics, inClustersOnly) {
		t.Errorf("/metrics lacks %s", name)
	}
	if got := len(lacking(t, "", nil)); got < 40 {
		t.Errorf("of nothing only %d are lacking: the expressions are not read", got)
	}
}

// TestDashboardAsksForWhatClustersHave does the same with a node that is one of many.
func TestDashboardAsksForWhatClustersHave(t *testing.T) {
	r := startRig(t, startEngines(t).config("one"))
	r.until("memory has been looked at", func() bool { return r.core.memory.Load() != nil })
	metrics := busyRig(t, r)
	for _, name := range lacking(t, metrics, withTLSOnly) {
		t.Errorf("/metrics lacks %s", name)
	}
}

// TestPromtoolTakesTheRules has Prometheus' own program read the rules and the dashboard's
// expressions, and run the tests of the rules.
func TestPromtoolTakesTheRules(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("promtool is not installed")
	}
	var panels strings.Builder
	panels.WriteString("groups: [{name: panels, rules: [")
	for _, asked := range expressions(t) {
		for _, expr := range asked {
			quoted, _ := json.Marshal(strings.ReplaceAll(expr, "$__rate_interval", "1m"))
			panels.WriteString("\n{record: panel, expr: " + string(quoted) + "},")
		}
	}
	panels.WriteString("\n]}]\n")
	file := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(file, []byte(panels.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", "--lint=none", file},
		{"check", "rules", "../bench/ops/alerts.yml"},
		{"test", "rules", "../bench/ops/alerts_test.yml"}} {
		if text, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, text)
		}
	}
}
