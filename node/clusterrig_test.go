package node

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"throng/node/cluster/enginetest"
)

// engines are a real etcd and a real NATS.
type engines struct{ etcd, nats *enginetest.Engine }

func startEngines(t testing.TB) engines {
	t.Helper()
	needEngines(t)
	return engines{enginetest.Etcd(t), enginetest.NATS(t)}
}

func needEngines(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts etcd and NATS")
	}
	enginetest.Parallel(t)
}

// config is that of a node of their cluster.
func (e engines) config(name string) Config {
	return Config{Node: name, Etcd: e.etcd.Address(), NATS: e.nats.Address(),
		Advertise: "127.0.0.1:0"}
}

// startNodes starts nodes of one cluster, which know of each other when it returns.
func startNodes(t testing.TB, all ...Config) []*rig {
	t.Helper()
	rigs := make([]*rig, len(all))
	for i, cfg := range all {
		rigs[i] = startRig(t, cfg)
	}
	for _, r := range rigs {
		r.until("all are there", func() bool {
			return len(r.core.mesh.view.Load().Nodes) == len(rigs)
		})
	}
	return rigs
}

// ownerOf puts the owner of a guild first.
func ownerOf(guild uint64, rigs []*rig) (owner, other *rig) {
	owner, other = rigs[0], rigs[1]
	if name := owner.core.mesh.view.Load().Owner(guild); name != owner.core.limits.node {
		owner, other = other, owner
	}
	return owner, other
}

// refused runs a node that must not be let in, and says why it is not: by what Run returns, or by
// what it says while it tries on.
func refused(t *testing.T, cfg Config) string {
	t.Helper()
	cfg.Listen, cfg.API, cfg.Admin = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.InMemory, cfg.Loops = cfg.Data == "", 1
	heard := &warnLog{heard: make(chan string, 1)}
	n, err := New(cfg, slog.New(heard))
	if err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	select {
	case err = <-ended:
	case why := <-heard.heard:
		cancel()
		if err = <-ended; err != nil {
			return why
		}
	}
	if err == nil {
		t.Fatal("it is let in")
	}
	return err.Error()
}

// warnLog hears the first warning with an error.
type warnLog struct {
	once  sync.Once
	heard chan string
}

func (*warnLog) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (l *warnLog) WithAttrs([]slog.Attr) slog.Handler         { return l }
func (l *warnLog) WithGroup(string) slog.Handler              { return l }

func (l *warnLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" && strings.HasPrefix(r.Message, "cluster: ") {
			l.once.Do(func() { l.heard <- a.Value.String() })
		}
		return true
	})
	return nil
}
