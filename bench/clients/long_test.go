//go:build !race

package clients

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

var longEvents = flag.Int("events", 4000, "how many events TestZstdStreamsForLong sends each client")

// TestZstdStreamsForLong has clients that ask for zstd-stream listen for long, among others of the
// same guild, so that events are packed against what all of them were sent; on a window so small
// that the template leaves it again and again; and are cut off now and then.
func TestZstdStreamsForLong(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]func(*testing.T, *node, string, *record) client{
		"disgo":               dialDisgo,
		"Node's decoder":      dialNode22("zstd.js"),
		"a browser's decoder": dialNode22("zstd.js", "THRONG_DECODER=fzstd"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listenForLong(t, dial)
		})
	}
}

const (
	longBatch = 200 // events that are published at once
	longCrowd = 48  // others who listen: more on a loop than a history needs
	longCuts  = 7   // batches from one cut to the next
)

func listenForLong(t *testing.T, dial func(*testing.T, *node, string, *record) client) {
	p := startProxy(t)
	n := startNode(t, p, "-compress-window", "128K")
	provision(t, n)
	p.pointAt(n)
	startCrowd(t, n)
	rec := newRecord(t)
	rec.wants = longText
	c := dial(t, n, botToken, rec)
	defer c.close()
	rec.wait(t, 2, "guild")
	for batch := 0; batch*longBatch < *longEvents; batch++ {
		var texts []string
		for i := range longBatch {
			texts = append(texts, longText(batch*longBatch+i))
		}
		if batch%longCuts == longCuts-1 {
			before := len(rec.wait(t, 0, "resumed"))
			p.hold()
			p.cut()
			publish(t, n, texts...)
			p.release()
			rec.wait(t, before+1, "resumed")
		} else {
			publish(t, n, texts...)
		}
		rec.hears(t, (batch+1)*longBatch)
	}
	metrics := string(n.call(t, "GET", "/metrics", nil))
	for _, mode := range []string{"none", "template", "history"} {
		line := fmt.Sprintf("\nthrong_zstd_frames_total{dictionary=%q} ", mode)
		_, count, found := strings.Cut(metrics, line)
		if count, _, _ = strings.Cut(count, "\n"); !found || count == "0" {
			t.Errorf("%s%s", line[1:], count)
		}
	}
}

// longText is what a message says: of all sizes, now and then more than a block.
func longText(i int) string {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	length := r.IntN(30)
	if i%500 == 499 {
		length = 10_000
	}
	var b strings.Builder
	fmt.Fprint(&b, i)
	for range length {
		b.WriteString([]string{" again", " and é", " 世界", " \"quoted\""}[r.IntN(4)])
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, " %x", r.Uint64()>>r.IntN(60))
		}
	}
	return b.String()
}

// startCrowd has sessions listen that nobody asks what they have heard.
func startCrowd(t *testing.T, n *node) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	for range longCrowd {
		c, _, err := websocket.Dial(ctx, "ws://"+n.doors["gateway"]+
			"/?v=10&encoding=json&compress=zstd-stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(-1)
		identify := fmt.Sprintf(`{"op":2,"d":{"token":%q,"intents":53608447,"properties":{}}}`,
			humanToken)
		if err := c.Write(ctx, websocket.MessageText, []byte(identify)); err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				if _, _, err := c.Read(ctx); err != nil {
					return
				}
			}
		}()
		go func() {
			for beat := time.NewTicker(5 * time.Second); ; {
				select {
				case <-beat.C:
					_ = c.Write(ctx, websocket.MessageText, []byte(`{"op":1,"d":null}`))
				case <-ctx.Done():
					beat.Stop()
					return
				}
			}
		}()
	}
}
