package node

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"throng/wire"
)

var update = flag.Bool("update", false, "write README's table of reasons")

// closeTable is README's table of why connections close.
func closeTable() string {
	var b strings.Builder
	b.WriteString("| reason | close code | session kept | why |\n|---|---|---|---|\n")
	for r := range closeReasonCount {
		row := closeRows[r]
		code, kept := row.code.String(), "no"
		switch {
		case r == ClientDone || r == ClientClosed:
			code = "the client's"
		case row.code == 0:
			code = "none"
		}
		if row.keeps {
			kept = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", row.name, code, kept, row.sentence)
	}
	return b.String()
}

// TestREADMEReasons holds that README lists the reasons there are. After a change of reason.go:
// go test ./node -run README -update
func TestREADMEReasons(t *testing.T) {
	const name, start, end = "../README.md", "<!-- reasons:start -->\n", "<!-- reasons:end -->"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, okStart := strings.Cut(string(text), start)
	got, after, okEnd := strings.Cut(rest, end)
	if !okStart || !okEnd {
		t.Fatalf("README.md has no %q and %q", start, end)
	}
	want := closeTable()
	if got == want {
		return
	}
	if !*update {
		t.Fatal("README's reasons differ: go test ./node -run README -update")
	}
	if err := os.WriteFile(name, []byte(before+start+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReasonsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for r := range closeReasonCount {
		row := closeRows[r]
		if row.name == "" || seen[row.name] || !strings.HasSuffix(row.sentence, ".") {
			t.Errorf("reason %d: %+v", r, row)
		}
		seen[row.name] = true
		// What clients do after the code must agree with what the node keeps. Where they cannot
		// resume there may yet be nothing that they could.
		if row.keeps && row.code != 0 && r != ClientClosed && !row.code.Resumable() &&
			r != WrongSeq {
			t.Errorf("%s keeps the session, and after %d no client resumes", r, row.code)
		}
	}
	for r := range dropReasonCount {
		if r.String() == "" {
			t.Errorf("drop reason %d has no name", r)
		}
	}
	// A fault that wire finds is closed with the code that wire says, but for one: a message that
	// is too big is a fault of decoding to Discord's clients.
	for code := wire.CloseCode(1000); code < 5000; code++ {
		r := reasonOf(code)
		if r == BadPayload || r == MessageTooBig {
			continue
		}
		if got := closeRows[r].code; got != code {
			t.Errorf("a fault of code %d becomes %s, which closes with %d", code, r, got)
		}
	}
}
