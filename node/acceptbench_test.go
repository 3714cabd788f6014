package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// dialVariable has the test binary open connections, "address number", and reset them.
const dialVariable = "THRONG_TEST_DIAL"

func runDialer() {
	address, count, _ := strings.Cut(os.Getenv(dialVariable), " ")
	n, _ := strconv.Atoi(count)
	const dialers = 16
	var all sync.WaitGroup
	for d := range dialers {
		all.Go(func() {
			for range (n + d) / dialers {
				c, err := net.Dial("tcp", address)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		})
	}
	all.Wait()
}

func processorTime() time.Duration {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkAccept is the processor time of a connection that another process opens and resets: on
// gnet's own listeners, on one of Go's whose connections gnet's loops enrol, and on a node.
func BenchmarkAccept(b *testing.B) {
	measure := func(b *testing.B, address string, taken func() int64) {
		const connections = 4000
		var spent time.Duration
		for b.Loop() {
			before := taken()
			began := processorTime()
			cmd := exec.Command(os.Args[0], "-test.run", "^$")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", dialVariable, address, connections))
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
			until(b, "all are taken", func() bool { return taken()-before >= connections-16 })
			spent += processorTime() - began
		}
		b.ReportMetric(float64(spent.Microseconds())/float64(b.N*connections), "µs/connection")
	}
	b.Run("gnet", func(b *testing.B) {
		e := startGnet(b)
		measure(b, e.address, e.opened.Load)
	})
	b.Run("enrolled", func(b *testing.B) {
		e := startGnet(b)
		until(b, "a loop shows itself", func() bool {
			c, err := net.Dial("tcp", e.address)
			if err == nil {
				c.Close()
			}
			return e.loop.Load() != nil
		})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		go func() {
			for c, err := l.Accept(); err == nil; c, err = l.Accept() {
				_, _ = (*e.loop.Load()).Enroll(context.Background(), c)
			}
		}()
		measure(b, l.Addr().String(), e.opened.Load)
	})
	b.Run("node", func(b *testing.B) {
		// What a node does of each is in it: its socket, its deadline, its end.
		r := startRig(b, Config{})
		measure(b, r.doors["gateway"], func() int64 {
			return int64(r.closes(ConnectionLost) + r.closes(HandshakeTimeout))
		})
	})
}

// gnetEngine takes connections in as gnet does by itself.
type gnetEngine struct {
	gnet.BuiltinEventEngine
	address string
	opened  atomic.Int64
	loop    atomic.Pointer[gnet.EventLoop]
	booted  chan gnet.Engine
}

func (e *gnetEngine) OnBoot(running gnet.Engine) gnet.Action {
	e.booted <- running
	return gnet.None
}

func (e *gnetEngine) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	l := c.EventLoop()
	e.loop.Store(&l)
	e.opened.Add(1)
	return nil, gnet.None
}

func startGnet(b *testing.B) *gnetEngine {
	address, release, err := claim("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	e := &gnetEngine{address: address, booted: make(chan gnet.Engine, 1)}
	go func() {
		_ = gnet.Run(e, "tcp://"+address, gnet.WithNumEventLoop(2), gnet.WithReusePort(true),
			gnet.WithLogger(pollerLog{slog.New(slog.DiscardHandler)}))
	}()
	running := <-e.booted
	until(b, "gnet listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	b.Cleanup(func() {
		_ = running.Stop(context.Background())
		release()
	})
	return e
}
