package node

import (
	"bufio"
	"io"
	"net"
	"sync"
	"testing"

	"throng/wire"
	"throng/wire/conformance"
)

// TestConformanceOfTheNode runs the table of RFC 6455 against the node's own handshake and sockets.
// Its clients speak to a server that echoes, so the loops echo in place of acting on commands.
func TestConformanceOfTheNode(t *testing.T) {
	computes(t)
	r := startRig(t, Config{}, func(c *core) {
		c.limits.wire = conformance.Limits()
		c.limits.pingsMax = 1 << 7
		c.limits.controlBytesMax = 1 << 20
		c.limits.lingerMilli = 1
		for _, l := range c.loops {
			l.echo = func(k *socket, m wire.Message) {
				k.control = wire.AppendFrame(k.control, m.Opcode, m.Payload)
			}
		}
	})
	dial := func() (net.Conn, error) {
		conn, err := net.Dial("tcp", r.doors["gateway"])
		if err != nil {
			return nil, err
		}
		if err := conformance.Upgrade(conn, "localhost", "/?v=10&encoding=json"); err != nil {
			return nil, err
		}
		// HELLO is read octet by octet as well, so that nothing behind it is lost.
		_, err = readServerFrame(bufio.NewReaderSize(oneByOne{conn}, 16))
		return conn, err
	}
	chops := map[string]int{"as the case says": 0, "octet by octet": 1, "at random": -20260}
	const parallel = 48
	var all sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for name, chop := range chops {
		for _, c := range conformance.Cases() {
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				verdict, err := conformance.Run(c, chop, dial)
				want := conformance.OK
				if c.Open {
					want = conformance.Informational
				}
				if verdict != want {
					t.Errorf("case %s, %s: got %v, want %v: %v", c.ID, name, verdict, want, err)
				}
			})
		}
	}
	all.Wait()
}

// oneByOne is a stream of which no more is read than is asked for.
type oneByOne struct{ io.Reader }

func (r oneByOne) Read(b []byte) (int, error) { return r.Reader.Read(b[:min(len(b), 1)]) }
