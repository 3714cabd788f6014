package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"throng/bench/internal/client"
	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
)

// trickle keeps connections open that send a request octet by octet, until the context ends.
// Those that the node closes are opened anew.
func (s *scene) trickle(ctx context.Context) error {
	text := client.Request(s.node.Gateway)
	conns := make([]net.Conn, slowSockets)
	sent := make([]int, slowSockets)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	const parts = 50 // of a second, each with some of the connections
	tick := time.NewTicker(time.Second / parts)
	defer tick.Stop()
	opened := 0
	for part := 0; ; part = (part + 1) % parts {
		for i := part; i < slowSockets; i += parts {
			if conns[i] != nil {
				_, err := io.WriteString(conns[i], text[sent[i]:sent[i]+1])
				if sent[i]++; err == nil && sent[i] < len(text)-1 {
					continue
				}
				conns[i].Close()
				conns[i] = nil
			}
			// Not all from one address: the kernel would look long for a free port.
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%8))}}
			c, err := d.DialContext(ctx, "tcp", s.node.Gateway)
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("after %d connections: %w", opened, err)
			}
			if err == nil {
				conns[i], sent[i] = c, 0
				opened++
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if opened < slowSockets {
				return fmt.Errorf("only %d connections were opened", opened)
			}
			return nil
		}
	}
}

// floods is clients who do one thing until they are closed, and come back at once.
func floods(flood func(ctx context.Context, s *scene, user int) error) preparation {
	return func(ctx context.Context, s *scene) (assault, error) {
		err := s.node.PutUsers(ctx, "flood", userFlooders, userFlooders+flooders)
		return func(ctx context.Context) error {
			var all sync.WaitGroup
			errs := make([]error, flooders)
			for i := range flooders {
				all.Go(func() {
					for ctx.Err() == nil && errs[i] == nil {
						errs[i] = flood(ctx, s, i)
					}
				})
			}
			all.Wait()
			return errors.Join(errs...)
		}, err
	}
}

// floodRate is a second, of each client's pings or commands.
const floodRate = 10_000

// pings sends pings until the connection is closed.
func pings(ctx context.Context, s *scene, _ int) error {
	conn, err := client.Hello(ctx, s.node.Gateway, dialTimeout)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	flood := bytes.Repeat([]byte{0x89, 0x80, 0, 0, 0, 0}, floodRate/100)
	tick := time.NewTicker(time.Second / 100)
	defer tick.Stop()
	for ; err == nil; <-tick.C {
		_, err = conn.Write(flood)
	}
	return nil
}

// commands identifies and sends heartbeats until the connection is closed.
func commands(ctx context.Context, s *scene, user int) error {
	token := strings.ReplaceAll(server.Tokens("flood"), "{i}", fmt.Sprint(user))
	session, err := client.Identify(ctx, s.node.Gateway, token, crowd.IntentsQuiet)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	defer context.AfterFunc(ctx, session.Cut)()
	defer session.Cut()
	tick := time.NewTicker(time.Second / 100)
	defer tick.Stop()
	for ; ; <-tick.C {
		for range floodRate / 100 {
			if session.Beat() != nil {
				return nil
			}
		}
	}
}

// ignoreEnd is nil when it was the context that ended something.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
