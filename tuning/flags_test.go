package tuning

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// promised are the flags that others rely on; further ones may stand beside them.
const promised = "listen api admin admin-token public-url data demo auth auth-key loops " +
	"gc-percent memory-limit read-buffer write-buffer socket-send-buffer socket-receive-buffer journal " +
	"resume-window heartbeat-interval max-connections identify-concurrency drain-grace " +
	"drain-spread drain-hard node etcd nats advertise log-format log-level"

// TestHelpAndREADMEAgree: each has the flags of the other, with the same defaults, and nobody has
// taken one away.
func TestHelpAndREADMEAgree(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "\n## Flags\n")
	section, _, _ := strings.Cut(rest, "\n## ")
	rows := map[string]string{} // Flag to the cell of its row's defaults.
	row := regexp.MustCompile(`(?m)^\| (.*?) \| ?(.*?) \| .* \|$`)
	name := regexp.MustCompile("`-([a-z-]+)`")
	for _, found := range row.FindAllStringSubmatch(section, -1) {
		for _, flag := range name.FindAllStringSubmatch(found[1], -1) {
			rows[flag[1]] = found[2]
		}
	}
	help, _, _ := command(t)(nil, "-h")
	shown := regexp.MustCompile(`(?m)^  -([a-z-]+).*\n +.*?(?: \(default (.*)\))?$`)
	defaults := map[string]string{}
	for _, found := range shown.FindAllStringSubmatch(help, -1) {
		defaults[found[1]] = found[2]
	}
	for flag, value := range defaults {
		cell, ok := rows[flag]
		if !ok {
			t.Errorf("README's table lacks -%s", flag)
		} else if value != "" && !says(cell, value) {
			t.Errorf("-%s is %q by default, README says %q", flag, value, cell)
		}
	}
	for flag := range rows {
		if _, ok := defaults[flag]; !ok {
			t.Errorf("README has -%s, which help does not show", flag)
		}
	}
	for flag := range strings.FieldsSeq(promised) {
		if _, ok := defaults[flag]; !ok {
			t.Errorf("there is no -%s", flag)
		}
	}
}

// says looks for a value among those that a cell has, durations however they are written.
func says(cell, value string) bool {
	want, err := time.ParseDuration(value)
	for word := range strings.FieldsFuncSeq(cell, func(r rune) bool {
		return strings.ContainsRune(" ,`", r)
	}) {
		got, bad := time.ParseDuration(word)
		if word == value || err == nil && bad == nil && got == want {
			return true
		}
	}
	return false
}
