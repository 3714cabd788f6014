package node

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"throng/wire"
)

// TestAcceptThatFails is row 16 of the matrix: no error of accept(2) ends anything, who is in is
// served meanwhile, and who came meanwhile is taken when it is over.
func TestAcceptThatFails(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ECONNABORTED, unix.EPROTO, unix.EINTR, unix.EMFILE,
		unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EPERM, unix.EINVAL} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			t.Parallel()
			var failing atomic.Bool
			var failed atomic.Int64
			r := newRig(t, Config{})
			t.Cleanup(r.stop)
			r.run()
			inside := r.dial("/")
			inside.wantOp(wire.OpHello)
			for i, d := range r.engine.drivers {
				r.onLoop(i, func(*loop) {
					d.accepting = func(l int) (int, endpoint, error) {
						if failing.Load() {
							failed.Add(1)
							return -1, endpoint{}, errno
						}
						return accept(l)
					}
				})
			}
			failing.Store(true)
			outside := r.connect()
			r.until("accepting fails often", func() bool { return failed.Load() > 4 })
			pauses := judgeAccept(errno) == acceptPause
			if err := r.Ready(); pauses != (err != nil) {
				t.Errorf("ready says %v", err)
			}
			inside.send(1, "null")
			inside.wantOp(wire.OpHeartbeatAck)
			failing.Store(false)
			outside.upgrade("/")
			outside.wantOp(wire.OpHello)
			r.until("ready", func() bool { return r.Ready() == nil })
			got := r.engine.gate.failuresByName()[unix.ErrnoName(errno)]
			if pauses != (got > 0) || got > uint64(failed.Load()) {
				t.Errorf("%d were counted, of %d", got, failed.Load())
			}
		})
	}
}

// TestAcceptPauses: a listener that fails is asked less and less often.
func TestAcceptPauses(t *testing.T) {
	r := startRig(t, Config{Loops: 1})
	d := r.engine.drivers[0]
	var pauses []int64
	r.onLoop(0, func(*loop) {
		for _, l := range d.listeners {
			for range 12 {
				d.pauseAccept(l, unix.ENFILE)
				pauses = append(pauses, l.pause.Milliseconds())
			}
		}
	})
	want := []int64{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000}
	for i := range want {
		if pauses[i] != want[i] {
			t.Fatalf("it paused for %v, want %v", pauses, want)
		}
	}
	r.until("ready", func() bool { return r.Ready() == nil })
	r.dial("/").wantOp(wire.OpHello)
}

// TestListenersAreHandedOver: a node takes over where another stops, and who connected before the
// one began and after the other stopped is served.
func TestListenersAreHandedOver(t *testing.T) {
	old := startRig(t, Config{})
	files, err := old.Listeners()
	if err != nil || len(files) != 2 {
		t.Fatalf("%d listeners, %v", len(files), err)
	}
	gateway := old.doors["gateway"]
	old.stop()
	waiting := make([]*wsClient, 10)
	for i := range waiting {
		waiting[i] = old.connect()
	}
	listens := &listenLog{addresses: make(chan [2]string, 3)}
	const any = "127.0.0.1:0"
	next, err := New(Config{API: any, Admin: any, InMemory: true, Loops: 2, DrainGrace: -1,
		DrainSpread: -1}, slog.New(listens))
	if err == nil {
		err = next.Inherit(files)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		_ = f.Close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- next.Run(ctx) }()
	for _, c := range append(waiting, old.connect()) {
		c.upgrade("/")
		c.wantOp(wire.OpHello)
	}
	for range 3 {
		if a := <-listens.addresses; a[0] == "gateway" && a[1] != gateway {
			t.Errorf("it listens at %s, want %s", a[1], gateway)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestEndpoints(t *testing.T) {
	for _, text := range []string{"127.0.0.1:1", "[::1]:65535", "203.0.113.9:443", "[2001:db8::1]:8"} {
		if got := endpointFrom(text).String(); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
	mapped := endpointOf(netip.MustParseAddrPort("[::ffff:10.0.0.1]:2"))
	if got := mapped.String(); got != "10.0.0.1:2" {
		t.Errorf("got %s", got)
	}
	if got := endpointFrom("@").String(); got != "" {
		t.Errorf("got %s", got)
	}
}

// TestUserTimeoutIsSet: the kernel gives up on who acknowledges nothing.
func TestUserTimeoutIsSet(t *testing.T) {
	r := startRig(t, Config{})
	r.dial("/").wantOp(wire.OpHello)
	found := false
	r.eachSocket(func(_ *loop, k *socket) {
		x := k.io.(*connection)
		got, err := unix.GetsockoptInt(int(x.fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		if found = true; err != nil || got != 20_000 {
			t.Errorf("it is %d ms, %v", got, err)
		}
		nodelay, err := unix.GetsockoptInt(int(x.fd), unix.IPPROTO_TCP, unix.TCP_NODELAY)
		if err != nil || nodelay == 0 {
			t.Errorf("writes are delayed: %d, %v", nodelay, err)
		}
	})
	if !found {
		t.Error("no socket")
	}
}
