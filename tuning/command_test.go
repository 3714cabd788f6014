package tuning

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// The command is tested from outside, as an operator meets it; the top level has no room for a
// test file of its own.

var (
	folder string // Of what the tests build.
	built  = sync.OnceValues(func() (binary string, err error) {
		binary = filepath.Join(folder, "throng")
		text, err := exec.Command("go", "build", "-o", binary, "throng").CombinedOutput()
		if err != nil {
			err = fmt.Errorf("go build: %w\n%s", err, text)
		}
		return binary, err
	})
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if folder, err = os.MkdirTemp("", "throng-command-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(folder)
		return m.Run()
	}())
}

// build makes the binary, once for all tests.
func build(t *testing.T) (binary string) {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// command returns what runs throng.
func command(t *testing.T) func(env []string, args ...string) (out, errs string, code int) {
	binary := build(t)
	return func(env []string, args ...string) (string, string, int) {
		var out, errs strings.Builder
		run := exec.Command(binary, args...)
		run.Env, run.Stdout, run.Stderr = append(os.Environ(), env...), &out, &errs
		err := run.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return out.String(), errs.String(), run.ProcessState.ExitCode()
	}
}

func TestCommand(t *testing.T) {
	throng := command(t)
	for _, c := range []struct {
		name      string
		env, args []string
		code      int
		out, errs string // What is to be found.
	}{
		{"version", nil, []string{"version"}, 0, `^throng \S+ go1\S+ \w+/\w+\n$`, `^$`},
		{"help", nil, []string{"-h"}, 0, `(?s)throng doctor.*Doors\n  -listen address\n.*\(default info\)`, `^$`},
		{"help of serve", nil, []string{"serve", "-h"}, 0, `-heartbeat-interval`, `^$`},
		{"help of doctor", nil, []string{"doctor", "-h"}, 0, `-connections`, `^$`},
		{"doctor", nil, []string{"doctor", "-connections", "1", "-measure", "50ms"}, 0,
			`(?s)Nothing blocks.*processors +\d+, [\d,]*[1-9][\d,]* deliveries/s.*The tightest`,
			`^delivering [^\n]*\n$`},
		{"doctor, too many", nil, []string{"doctor", "-connections", "1000000000", "-measure", "0"},
			1, `BLOCKS +descriptors.*\n`, `^$`},
		{"doctor, too long", nil, []string{"doctor", "-measure", "1h"}, 2, `^$`, `-measure`},
		{"doctor, none", nil, []string{"doctor", "-connections", "0"}, 2, `^$`, `-connections`},
		{"no such command", nil, []string{"start"}, 2, `^$`, `^throng: "start" [^\n]*\n$`},
		{"no such flag", nil, []string{"-prot", "1"}, 2, `^$`, `^throng: .*-prot[^\n]*\n$`},
		{"not a duration", nil, []string{"-drain-hard", "1"}, 2, `^$`, `-drain-hard`},
		{"a stray word", nil, []string{"-demo", "now"}, 2, `^$`, `"now" is no flag`},
		{"environment", []string{"THRONG_JOURNAL=lots"}, nil, 2, `^$`, `THRONG_JOURNAL`},
		{"a flag over the environment", []string{"THRONG_LOOPS=x"},
			[]string{"-loops", "-1"}, 1, `^$`, `^throng: -loops: [^\n]*\n$`},
		{"open admin", nil, []string{"-admin", "0.0.0.0:0"}, 1, `^$`, `^throng: -admin: [^\n]*\n$`},
		{"open admin by environment", []string{"THRONG_ADMIN=:0"}, nil, 1, `^$`,
			`^throng: -admin: [^\n]*\n$`},
		{"a bad webhook", nil, []string{"-push-webhook", "here"}, 1, `^$`,
			`^throng: -push-webhook: [^\n]*\n$`},
		{"two sinks by environment", []string{"THRONG_PUSH_NATS=nats://a:1"},
			[]string{"-push-webhook", "http://a"}, 1, `^$`, `^throng: -push-nats: [^\n]*\n$`},
		{"a negative duration", nil, []string{"-resume-window", "-5s"}, 1, `^$`,
			`^throng: -resume-window: -5s is negative\n$`},
		{"no heartbeats", nil, []string{"-heartbeat-interval", "0"}, 1, `^$`,
			`^throng: -heartbeat-interval: 0s is not [^\n]*\n$`},
		{"log level", nil, []string{"-log-level", "loud"}, 2, `^$`,
			`-log-level: "loud" is none of debug, info, warn, error`},
		{"log format", nil, []string{"-log-format", "xml"}, 1, `^$`, `^throng: -log-format: `},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := throng(c.env, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !regexp.MustCompile(c.out).MatchString(out) {
				t.Errorf("stdout is %q, want %q", out, c.out)
			}
			if !regexp.MustCompile(c.errs).MatchString(errs) {
				t.Errorf("stderr is %q, want %q", errs, c.errs)
			}
		})
	}
}

// TestCIRepeatsREADME: whoever reads README runs what .ci/run runs.
func TestCIRepeatsREADME(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "<!-- test:start -->\n```sh\n")
	block, _, okEnd := strings.Cut(rest, "```\n<!-- test:end -->")
	if !ok || !okEnd || strings.TrimSpace(block) == "" {
		t.Fatal("README has no test command between <!-- test:start --> and <!-- test:end -->")
	}
	for line := range strings.Lines(block) {
		if !strings.Contains("\n"+string(script), "\n"+line) {
			t.Errorf(".ci/run lacks README's %q on a line of its own", line)
		}
	}
}
