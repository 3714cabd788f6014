package main

import "testing"

func TestObjectsByTheNearestFunction(t *testing.T) {
	const gnet = "github.com/panjf2000/gnet/v2."
	accepted := []string{"throng/node.(*driver).guard", "throng/node.(*engine).OnOpen",
		gnet + "(*eventloop).accept"}
	for _, test := range []struct {
		name  string
		stack []string
		want  string
	}{
		{"a table's growth counts as its owner's", []string{"runtime.growslice",
			"throng/node.(*wheel).add", "throng/node.(*loop).opened"}, "timers"},
		{"opened by gnet's callback", append([]string{"throng/node.(*loop).opened",
			"throng/node.(*engine).OnOpen.func1"}, accepted...),
			"socket: parser, limits, deadlines"},
		{"the callback itself", accepted[1:],
			"transport, between gnet's connection and the socket"},
		{"what accepting needs", []string{"golang.org/x/sys/unix.Accept4", accepted[2]},
			"gnet's connection, its addresses and its place in gnet's table"},
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
