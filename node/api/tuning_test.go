package api

import (
	"context"
	"strings"
	"testing"
)

func (n *fakeNode) Tuning() []Tunable {
	n.mu.Lock()
	defer n.mu.Unlock()
	return []Tunable{{Name: "speed", Value: n.speed, Default: 5, Least: 1, Most: 9, Unit: "turns",
		Meaning: "how fast"}}
}

func (n *fakeNode) Tune(_ context.Context, changes map[string]*int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := n.speed
	for name, value := range changes {
		switch {
		case name != "speed":
			return Invalid(name, "there is no such setting")
		case value == nil:
			next = 5
		default:
			next = *value
		}
	}
	n.speed = next
	return nil
}

func TestTuningIsPatched(t *testing.T) {
	n := newFake()
	url := serve(t, Admin(n, Config{})) + "/v1/tuning"
	for _, c := range []struct {
		body  string
		field string // Of the refusal; "-": none.
		speed int64
	}{
		{`{"speed":7}`, "-", 7},
		{`{}`, "-", 7},
		{`{"speed":null}`, "-", 5},
		{`{"speed":3,"colour":1}`, "colour", 5},
		{`{"speed":"8"}`, "speed", 5},
		{`{"speed":1.5}`, "speed", 5},
		{`{"speed":99999999999999999999}`, "speed", 5},
		{`null`, "", 5},
		{`[1]`, "", 5},
		{`{"speed":7}{"speed":8}`, "", 5},
		{`{"speed":7`, "", 5},
		{`{"speed":7,"pad":"` + strings.Repeat("x", tuningBodyBytesMax) + `"}`, "", 5},
	} {
		a := request(t, "PATCH", url, c.body)
		switch {
		case c.field == "-" && a.status != 200:
			t.Errorf("%.40s: %d %s", c.body, a.status, a.body)
		case c.field != "-" && (a.status != 400 ||
			c.field != "" && !strings.Contains(a.body, `"field":"`+c.field+`"`)):
			t.Errorf("%.40s: %d %s, want 400 naming %q", c.body, a.status, a.body, c.field)
		}
		if got := n.Tuning()[0].Value; got != c.speed {
			t.Errorf("%.40s: speed is %d, want %d", c.body, got, c.speed)
		}
	}
	request(t, "GET", url, "").want(t, 200, `{"note":"changes last until the node ends; `+
		`to keep them, use its flags","settings":[{"name":"speed","value":5,"default":5,"min":1,`+
		`"max":9,"unit":"turns","meaning":"how fast"}]}`)
}
