package node

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"throng/wire"
)

// TestBackendsNoticeNoMove: a guild goes to and fro between real nodes while backends ask for it at
// all doors, in each way there is. None of them is refused.
func TestBackendsNoticeNoMove(t *testing.T) {
	e := startEngines(t)
	rigs := startNodes(t, e.config("node-a"), e.config("node-b"), e.config("node-c"))
	const guild, members, moves = 100, 20_000, 20
	home := rigs[0]
	for _, r := range rigs {
		if _, here := r.core.mesh.owner(guild); here {
			home = r
		}
	}
	home.user(1, true)
	home.guild(guild, 1)
	var crowd []wire.Snowflake
	for i := range members {
		crowd = append(crowd, wire.Snowflake(1000+i))
	}
	home.members(guild, crowd...)
	for _, r := range rigs {
		c := r.login(1)
		c.joined(1)
		go func() { // It hears what is published until the node ends.
			for {
				if _, err := c.read(); err != nil {
					return
				}
			}
		}()
	}
	conn, err := nats.Connect(e.nats.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	ended := make(chan struct{})
	var asking sync.WaitGroup
	var longest, asked atomic.Int64
	keepAsking := func(what string, ask func(n int) error) {
		asking.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-ended:
					return
				case <-time.After(time.Millisecond):
				}
				began := time.Now()
				if err := ask(n); err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
				asked.Add(1)
				for took := int64(time.Since(began)); ; {
					known := longest.Load()
					if took <= known || longest.CompareAndSwap(known, took) {
						break
					}
				}
			}
		})
	}
	for i, r := range rigs {
		for _, q := range [][3]string{
			{"POST", "/v1/guilds/100/events", `{"t":"TEST_EVENT","d":{"n":1}}`},
			{"POST", "/v1/guilds/100/members", `{"user_id":"77","nick":"n"}` + "\n"},
			{"GET", "/v1/guilds/100", ""},
		} {
			keepAsking(fmt.Sprint(q[0], " ", q[1], " at ", i), func(int) error {
				status, _, said := r.answer(q[0], q[1], q[2])
				if status/100 != 2 || status == http.StatusNoContent {
					return fmt.Errorf("%d %s", status, said)
				}
				return nil
			})
		}
	}
	keepAsking("by NATS", func(n int) error {
		said, ok := publishByNATS(t, conn, guild, n)
		if !ok {
			return fmt.Errorf("%s", said)
		}
		return nil
	})
	for i := range moves {
		to := rigs[i%len(rigs)]
		if err := home.MoveGuild(home.context(), guild, to.core.limits.node); err != nil {
			t.Fatal(err)
		}
		before := asked.Load()
		to.until("it has come", func() bool {
			_, serves := to.core.mesh.serving.Load(guild)
			return serves && asked.Load() > before+20 || t.Failed()
		})
	}
	close(ended)
	asking.Wait()
	var handed, failed uint64
	for _, r := range rigs {
		handed, failed = handed+r.core.handed.Load(), failed+r.core.handsFailed.Load()
	}
	if handed == 0 || failed > 0 {
		t.Errorf("%d hand-offs, and %d have failed", handed, failed)
	}
	t.Logf("%d hand-offs, %d requests, the longest %v", handed, asked.Load(),
		time.Duration(longest.Load()))
}
