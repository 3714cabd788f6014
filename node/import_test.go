package node

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"throng/node/cluster/replica"
	"throng/wire"
)

// TestImport takes a node that was alone into a cluster, with its users, tokens, guilds and members.
func TestImport(t *testing.T) {
	e := startEngines(t)
	old := filepath.Join(t.TempDir(), "old")
	const members = 1500 // Of more than one batch.
	r := startRig(t, Config{Data: old})
	var all []wire.Snowflake
	for user := range wire.Snowflake(members) {
		all = append(all, user+1)
	}
	r.user(1, true)
	r.user(2, true)
	r.guild(100, all...)
	r.guild(200, 2)
	r.stop()

	config := func(name string) Config {
		cfg := e.config(name)
		cfg.Data = filepath.Join(t.TempDir(), name)
		return cfg
	}
	first := config("node-a")
	wrong := first
	wrong.Data = old
	_, err := New(wrong, slog.New(slog.DiscardHandler))
	if !errors.Is(err, replica.ErrAlone) || !strings.Contains(err.Error(), "-import "+old) {
		t.Errorf("with the data of a node that was alone: %v", err)
	}
	for what, folder := range map[string]string{
		"a folder that is not there": old + "x", "a folder without data": t.TempDir(),
	} {
		wrong := config("node-x")
		wrong.Import = folder
		if why := refused(t, wrong); !strings.HasPrefix(why, "-import: ") {
			t.Errorf("%s: %s", what, why)
		}
	}

	first.Import = old
	a := startRig(t, first)
	b := startRig(t, config("node-b"))
	for _, r := range []*rig{a, b} {
		c := r.login(1)
		g := object(t, c.wantEvent("GUILD_CREATE").Data)
		if g["name"] != "g100" || g["member_count"] != float64(members) {
			t.Errorf("%s has %v with %v", r.cfg.Node, g["name"], g["member_count"])
		}
		c.conn.Close()
	}
	a.user(3, true)
	a.stop()
	if err := os.RemoveAll(old); err != nil {
		t.Fatal(err)
	}
	a = startRig(t, first)
	a.login(3).joined(1)

	other := config("node-c")
	other.Import = filepath.Join(t.TempDir(), "other")
	r = startRig(t, Config{Data: other.Import})
	r.user(9, true)
	r.stop()
	if why := refused(t, other); !strings.Contains(why, replica.ErrNotEmpty.Error()) {
		t.Errorf("into a cluster with data: %s", why)
	}
}

func TestImportNeedsACluster(t *testing.T) {
	for _, cfg := range []Config{
		{Import: "x"},
		{Import: "x/", Data: "x", Etcd: "127.0.0.1:1", NATS: "127.0.0.1:1"},
	} {
		_, err := cfg.withDefaults()
		if err == nil || !strings.HasPrefix(err.Error(), "-import: ") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
