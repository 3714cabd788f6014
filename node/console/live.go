package console

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"throng/node/api"
	"throng/tuning"
)

// Config is what the console is handed.
type Config struct {
	Source Source
	// About is what the page is told first, for this request: the gateway's URL depends on the
	// host that the browser has found the node by.
	About func(r *http.Request) About
	Log   *slog.Logger
	// Interval is between two snapshots; 0: tuning.ConsoleInterval.
	Interval time.Duration
}

// Console serves the page and what it shows.
type Console struct {
	// Static after construction.
	cfg   Config
	files []file

	// Guarded by mu.
	mu      sync.Mutex
	viewers map[*viewer]struct{}
	stop    context.CancelFunc // Ends who gathers; nil: nobody does.
}

// viewer is one browser that looks. A snapshot that it has not taken when the next one comes is
// replaced by that.
type viewer struct{ latest chan []byte }

// New makes a console. It starts nothing.
func New(c Config) *Console {
	if c.Interval == 0 {
		c.Interval = tuning.ConsoleInterval
	}
	return &Console{cfg: c, files: embedded(), viewers: map[*viewer]struct{}{}}
}

// Live serves GET /v1/live: server-sent events, first "about" and then a "snapshot" each second.
func (c *Console) Live(w http.ResponseWriter, r *http.Request) error {
	v, err := c.join()
	if err != nil {
		return err
	}
	defer c.leave(v)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // Or nginx gathers events in its buffer.
	// A page elsewhere could read nothing of it, and would take a viewer's place all the same.
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.Method == http.MethodHead {
		return nil
	}
	out := http.NewResponseController(w)
	// The deadline that a request has to arrive by would end it after that.
	_ = out.SetReadDeadline(time.Time{})
	about, err := json.Marshal(c.cfg.About(r))
	if err != nil {
		return err
	}
	for event, data := "about", about; ; event = "snapshot" {
		_ = out.SetWriteDeadline(time.Now().Add(tuning.ConsoleWriteTimeout))
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data); err != nil {
			return nil // It has gone, and cannot be answered.
		}
		if err := out.Flush(); err != nil {
			return nil
		}
		select {
		case data = <-v.latest:
		case <-r.Context().Done():
			return nil
		}
	}
}

// join adds a viewer. The first has somebody gather.
func (c *Console) join() (*viewer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.viewers) >= tuning.ConsoleViewersMax {
		return nil, api.Unavailable(tuning.ConsoleSlowInterval,
			"%d consoles are open, and no more may be", len(c.viewers))
	}
	v := &viewer{latest: make(chan []byte, 1)}
	c.viewers[v] = struct{}{}
	if c.stop == nil {
		var ctx context.Context
		ctx, c.stop = context.WithCancel(context.Background())
		go c.gather(ctx)
	}
	return v, nil
}

// leave takes a viewer out. With the last one goes who gathers.
func (c *Console) leave(v *viewer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.viewers, v)
	if len(c.viewers) == 0 {
		c.stop()
		c.stop = nil
	}
}

// Viewers is how many look.
func (c *Console) Viewers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.viewers)
}

// gather tells all viewers how the node does, until the context ends.
func (c *Console) gather(ctx context.Context) {
	tick := time.NewTicker(c.cfg.Interval)
	defer tick.Stop()
	g := &gatherer{source: c.cfg.Source, nodes: make(chan *api.ClusterInfo, 1)}
	for {
		s, err := g.next(ctx)
		var data []byte
		if err == nil {
			data, err = json.Marshal(s)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.cfg.Log.Warn("console: the node's figures could not be gathered", "error", err)
		default:
			c.tell(ctx, data)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell gives every viewer a snapshot.
func (c *Console) tell(ctx context.Context, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return // Its viewers have gone, and those who came since have another one.
	}
	for v := range c.viewers {
		select {
		case <-v.latest:
		default:
		}
		v.latest <- data
	}
}

// gatherer makes snapshots of a source.
//
// Owned by the goroutine that gathers.
type gatherer struct {
	source  Source
	turn    int
	history history
	rounds  rounds
	many    bool // guilds, so that they are looked at less often
	largest []Guild
	busiest []Guild
	cluster *api.ClusterInfo
	nodes   chan *api.ClusterInfo // What somebody has been sent for; see askNodes.
	asking  bool
}

// next is the next snapshot. Guilds and nodes that do not answer are shown as they were: when an
// owner is stuck, or another node, is when somebody looks.
func (g *gatherer) next(ctx context.Context) (*Snapshot, error) {
	rarely := g.turn%int(tuning.ConsoleSlowInterval/tuning.ConsoleInterval) == 0
	g.turn++
	if rarely || !g.many {
		g.lookAtGuilds(ctx)
	}
	if rarely {
		g.askNodes(ctx)
	}
	sample, err := g.source.Sample(ctx)
	if err != nil {
		return nil, err
	}
	select {
	case g.cluster = <-g.nodes:
		g.asking = false
	default:
	}
	s := g.history.snapshot(&sample)
	s.Largest, s.Busiest, s.Cluster = g.largest, g.busiest, g.cluster
	return s, nil
}

func (g *gatherer) lookAtGuilds(ctx context.Context) {
	all, err := g.source.EveryGuild(ctx)
	if err != nil {
		return
	}
	g.many = len(all) > tuning.ConsoleGuildsOften
	g.largest, g.busiest = g.rounds.look(all, time.Now())
}

// askNodes sends somebody to ask the other nodes, each of which may take its time.
func (g *gatherer) askNodes(ctx context.Context) {
	if g.asking {
		return
	}
	g.asking = true
	go func() {
		info, err := g.source.Cluster(ctx)
		if err != nil || info.Generation == 0 {
			g.nodes <- nil // It is alone, or ends.
			return
		}
		info.Pins = nil // The page shows none, and there may be many.
		g.nodes <- &info
	}()
}
