package fanout

import (
	"bytes"
	"fmt"
	"testing"

	"throng/wire"
)

// TestExportIsTakenBack loads what was exported into a guild like the first.
func TestExportIsTakenBack(t *testing.T) {
	const doc = `{"roles":[{"id":"5"},{"id":"6"}]}`
	a := newWorld(t, doc)
	for i := range 500 {
		a.user(wire.Snowflake(2000+i), fmt.Sprint("user", i))
		fields := fmt.Sprintf(`"nick":"n%d","roles":["5"],"deaf":true`, i)
		if i%2 == 0 {
			fields = `"roles":["6"],"communication_disabled_until":"2030-01-01T00:00:00+00:00"`
		}
		a.member(wire.Snowflake(2000+i), fields)
	}
	a.publish("GUILD_ROLE_DELETE", `{"role_id":"6"}`)
	e := a.g.Export()
	a.must(a.g.RemoveMember(2003, a.now)) // Too late to matter.
	var all []byte
	for lines := 0; ; lines += 7 {
		more := e.Next(nil, 7)
		if len(more) == 0 {
			break
		}
		if got := bytes.Count(more, []byte("\n")); got != min(7, 500-lines) {
			t.Fatalf("got %d lines, want 7", got)
		}
		all = append(all, more...)
	}
	b := newWorld(t, doc)
	for line := range bytes.Lines(all) {
		in, err := ParseMember(line)
		if err != nil {
			t.Fatal(err)
		}
		if _, errs := b.g.PutMembers([]MemberInput{in}, false, b.now+1); errs[0] != nil {
			t.Fatal(errs[0])
		}
	}
	if got := b.g.Export().Next(nil, 1000); !bytes.Equal(got, all) {
		t.Error("what comes back is something else")
	}
}
