package wire

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// templateWords are the texts that the protocol has, and no user.
var templateWords = map[string]bool{"": true, "0": true, "online": true, "idle": true, "dnd": true,
	"offline": true, "image/png": true, "article": true, "2026-01-01T00:00:00.000000+00:00": true}

// TestTemplateIsStructure holds that nobody's words or ids are in what every connection is sent.
func TestTemplateIsStructure(t *testing.T) {
	var all []map[string]any
	d := json.NewDecoder(strings.NewReader("[" + string(templateJSON) + "]"))
	d.UseNumber()
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`^-?([0-9]{1,2}|10*)$`)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, v := range v {
				walk(v)
			}
		case []any:
			for _, v := range v {
				walk(v)
			}
		case json.Number:
			if !number.MatchString(v.String()) {
				t.Errorf("the number %v", v)
			}
		case string:
			_, event := LookupEvent(v)
			if !event && !templateWords[v] && strings.Trim(v, "0") != "" {
				t.Errorf("the text %q", v)
			}
		}
	}
	for _, d := range all {
		walk(d)
	}
	if len(all) < 10 {
		t.Errorf("%d shapes", len(all))
	}
	if ids := regexp.MustCompile(`[0-9]{5,}`).FindAll(templateETF, -1); len(ids) > 0 {
		for _, id := range ids {
			if strings.Trim(string(id), "0") != "" {
				t.Errorf("ETF has %s", id)
			}
		}
	}
}
