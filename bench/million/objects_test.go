package main

import "testing"

func TestObjectsByTheNearestFunction(t *testing.T) {
	accepted := []string{"throng/node.(*driver).guard", "throng/node.(*driver).welcome",
		"throng/node.(*driver).accept"}
	for _, test := range []struct {
		name  string
		stack []string
		want  string
	}{
		{"a table's growth counts as its owner's", []string{"runtime.growslice",
			"throng/node.(*wheel).add", "throng/node.(*loop).opened"}, "timers"},
		{"opened by the driver", append([]string{"throng/node.(*loop).opened",
			"throng/node.(*driver).welcome.func1"}, accepted...),
			"socket: parser, limits, deadlines"},
		{"what accepting needs", accepted[1:],
			"connection: descriptor, address, place in its loop's table"},
		{"a place in the loop's table", append([]string{"runtime.mapassign_fast64",
			"throng/node.(*driver).register"}, accepted[1:]...),
			"connection: descriptor, address, place in its loop's table"},
	} {
		got := ""
		if i := objectOf(test.stack); i >= 0 {
			got = objects[i].name
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	if got := objectOf([]string{"fmt.Sprintf", "main.main"}); got != -1 {
		t.Errorf("something else counts as %q", objects[got].name)
	}
}
