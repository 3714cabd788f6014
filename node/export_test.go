package node

import (
	"bytes"
	"slices"
	"testing"

	"throng/wire"
)

func TestExportIsOfOneMoment(t *testing.T) {
	r := startRig(t, Config{})
	var users []wire.Snowflake
	for i := range wire.Snowflake(exportLines + 10) {
		users = append(users, i+1)
	}
	r.guild(100, users...)
	var got []wire.Snowflake
	last := len(users)
	err := r.ExportMembers(r.context(), 100, func(lines []byte) error {
		for line := range bytes.Lines(lines) {
			user, _ := wire.Field(line, "user")
			id, _ := wire.SnowflakeField(user, "id")
			got = append(got, id)
		}
		r.members(100, 50_000)
		last--
		return r.RemoveMember(r.context(), 100, users[last])
	})
	if err != nil || !slices.Equal(got, users) {
		t.Errorf("got %d members, want %d: %v", len(got), len(users), err)
	}
}
