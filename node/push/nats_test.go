package push

import (
	"bufio"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"throng/wire"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// natsServer builds and starts nats-server, from the module that the benches have it in, and returns
// where it listens.
func natsServer(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nats")
	build := exec.Command("go", "build", "-o", program, "./nats")
	build.Dir = filepath.Join("..", "..", "bench", "peers")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build nats-server: %v\n%s", err, text)
	}
	server := exec.Command(program, "-jetstream", t.TempDir())
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	lines := bufio.NewScanner(out)
	var doors struct{ Publish string }
	for doors.Publish == "" && lines.Scan() {
		_ = json.Unmarshal(lines.Bytes(), &doors)
	}
	if doors.Publish == "" {
		t.Fatal("nats-server did not say where it listens")
	}
	return "nats://" + doors.Publish
}

// until waits for a condition that comes from another process.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

// TestNATS runs against a nats-server: a subscriber that replies, one that comes late, and a stream
// that replies by itself.
func TestNATS(t *testing.T) {
	address := natsServer(t)
	client, err := nats.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	t.Run("a subscriber", func(t *testing.T) { natsSubscriber(t, address, client) })
	t.Run("nobody at first", func(t *testing.T) { natsLate(t, address, client) })
	t.Run("silence", func(t *testing.T) { natsSilence(t, address, client) })
	t.Run("a stream", func(t *testing.T) { natsStream(t, address, client) })
}

func natsPipeline(t *testing.T, address, subject string, l Limits) *Pipeline {
	t.Helper()
	sink, err := NewNATS(address, subject, "one")
	if err != nil {
		t.Fatal(err)
	}
	return startSink(t, sink, l)
}

func natsSubscriber(t *testing.T, address string, client *nats.Conn) {
	got := make(chan received, 1000)
	sub, err := client.Subscribe("there", func(m *nats.Msg) {
		var r received
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Errorf("%v in %s", err, m.Data)
		}
		if m.Header.Get(nats.MsgIdHdr) == "" || len(r.Pushes) > 20 || r.Node != "one" {
			t.Errorf("%d pushes of %q with the header %v", len(r.Pushes), r.Node, m.Header)
		}
		got <- r
		_ = m.Respond(nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	p := natsPipeline(t, address, "there", Limits{})
	offer(p, 0, 500)
	if left := stop(p, false); left != 0 {
		t.Errorf("%d were left", left)
	}
	seen := map[wire.Snowflake]wire.Snowflake{}
	for len(seen) < 500 {
		select {
		case r := <-got:
			for _, one := range r.Pushes {
				seen[one.User] = one.Message
			}
		case <-time.After(patience):
			t.Fatalf("only %d pushes have come", len(seen))
		}
	}
	for user, message := range seen {
		if user != message {
			t.Errorf("%d was told of %d", user, message)
		}
	}
	wantStats(t, p, func(s Stats) bool { return s.Sent == 500 })
}

func natsLate(t *testing.T, address string, client *nats.Conn) {
	p := natsPipeline(t, address, "late", Limits{TriesMax: 1000, RetryPause: time.Millisecond})
	offer(p, 0, 50)
	until(t, "the server's word that nobody is there", func() bool {
		return p.Stats().Answers[Later] > 0
	})
	sub, err := client.Subscribe("late", func(m *nats.Msg) { _ = m.Respond([]byte("+OK")) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	stop(p, false)
	wantStats(t, p, func(s Stats) bool { return s.Sent == 50 })
}

// natsSilence: a subscriber that does not reply has taken nothing.
func natsSilence(t *testing.T, address string, client *nats.Conn) {
	sub, err := client.Subscribe("silent", func(*nats.Msg) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	p := natsPipeline(t, address, "silent", Limits{TriesMax: 2, TryTimeout: 30 * time.Millisecond,
		RetryPause: time.Millisecond})
	offer(p, 0, 250)
	stop(p, false)
	wantStats(t, p, func(s Stats) bool { return s.Drops[DropFailed] == 250 && s.Answers[Sent] == 0 })
}

func natsStream(t *testing.T, address string, client *nats.Conn) {
	js, err := client.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	config := &nats.StreamConfig{Name: "PUSH", Subjects: []string{"stored.*"}, MaxMsgs: 3,
		Discard: nats.DiscardNew, Storage: nats.MemoryStorage}
	if _, err := js.AddStream(config); err != nil {
		t.Fatal(err)
	}
	p := natsPipeline(t, address, "stored.push", Limits{TriesMax: 2, RetryPause: time.Millisecond})
	idle := func() bool { s := p.Stats(); return s.Depth+s.InFlight == 0 }
	for i := range 5 { // One after the other, so that each is a batch.
		offer(p, i, i+1)
		until(t, "the answer", idle)
	}
	stop(p, false)
	info, err := js.StreamInfo("PUSH")
	if err != nil {
		t.Fatal(err)
	}
	if info.State.Msgs != 3 {
		t.Errorf("%d batches are stored, want 3", info.State.Msgs)
	}
	// The stream is full: its replies say so, and are no acknowledgements.
	wantStats(t, p, func(s Stats) bool { return s.Sent == 3 && s.Drops[DropFailed] == 2 })
	// What was acknowledged and is sent again is stored once.
	if err := js.PurgeStream("PUSH"); err != nil {
		t.Fatal(err)
	}
	p = natsPipeline(t, address, "stored.push", Limits{})
	for range 3 {
		p.TrySend(note(1, 1000), 1000)
		until(t, "the answer", idle)
	}
	stop(p, false)
	if info, err = js.StreamInfo("PUSH"); err != nil || info.State.Msgs != 1 {
		t.Errorf("%d batches are stored, %v; want 1", info.State.Msgs, err)
	}
	wantStats(t, p, func(s Stats) bool { return s.Sent == 3 })
}

// TestNATSAway: without a server the pipeline starts, fails, and ends.
func TestNATSAway(t *testing.T) {
	sink, err := NewNATS("nats://secret@127.0.0.1:1", "x", "one")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(sink.String(), "secret") {
		t.Errorf("the sink shows its token: %v", sink)
	}
	p := startSink(t, sink, Limits{Connections: 1, TriesMax: 2, RetryPause: time.Millisecond,
		TryTimeout: 20 * time.Millisecond})
	offer(p, 0, 20)
	stop(p, false)
	wantStats(t, p, func(s Stats) bool { return s.Drops[DropFailed] == 20 })
}

func TestNATSReplies(t *testing.T) {
	for reply, want := range map[string]Result{
		"": Sent, "+OK": Sent, "{": Sent, `{"stream":"PUSH","seq":7}`: Sent, `{"error":null}`: Sent,
		`{"error":{"code":503,"description":"insufficient resources"}}`: Failed,
		`{"error":{"code":400,"description":"bad"}}`:                    Refused,
		`{"error":{"code":429}}`:                                        Later,
		`{"error":"no"}`:                                                Failed,
	} {
		if got := judgeReply([]byte(reply)); got.Result != want {
			t.Errorf("%s is %v, want %v", reply, got.Result, want)
		}
	}
}

func startSink(t *testing.T, s Sink, l Limits) *Pipeline {
	t.Helper()
	p := startWith(t, s, l)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Stop(ctx)
	})
	return p
}
