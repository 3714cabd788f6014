package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// dialler opens connections at a pace, each up to HELLO, and resets them.
type dialler struct {
	cancel context.CancelFunc
	all    sync.WaitGroup
	made   atomic.Int64

	// Guarded by mu.
	mu     sync.Mutex
	took   []float64 // ms
	failed int
	first  error // of those that failed
}

const (
	diallers = 64
	// dialTimeout is far above the second after which the kernel asks again for a connection that a
	// full backlog has not taken.
	dialTimeout = 20 * time.Second
)

// dial begins. Each of those who dial takes every so manieth turn, and is late rather than idle
// when it had to wait in the one before.
func dial(ctx context.Context, gateway string, count, rate int) *dialler {
	ctx, cancel := context.WithCancel(ctx)
	d := &dialler{cancel: cancel}
	began := time.Now()
	for first := range diallers {
		d.all.Go(func() {
			for n := first; n < count; n += diallers {
				due := began.Add(time.Duration(n) * time.Second / time.Duration(rate))
				select {
				case <-time.After(time.Until(due)):
				case <-ctx.Done():
					return
				}
				d.one(ctx, gateway, n)
			}
		})
	}
	return d
}

func (d *dialler) one(ctx context.Context, gateway string, n int) {
	at := time.Now()
	err := hello(ctx, gateway, n)
	span := time.Since(at).Seconds() * 1e3
	d.made.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.took = append(d.took, span)
	if err != nil && ctx.Err() == nil {
		if d.failed++; d.first == nil {
			d.first = err
		}
	}
}

func (d *dialler) wait() { d.all.Wait() }

func (d *dialler) stop() {
	d.cancel()
	d.all.Wait()
}

// result is how long each took, and how many were refused, in one way or another.
func (d *dialler) result() (took []float64, failed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.took), d.failed
}

// fault is why the first failed that did.
func (d *dialler) fault() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.first
}

var errNoHello = errors.New("no HELLO")

// hello opens a connection, from one of many addresses, and reads up to HELLO.
func hello(ctx context.Context, gateway string, n int) error {
	const addresses = 16
	dialer := net.Dialer{Timeout: dialTimeout,
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%addresses))}}
	conn, err := dialer.DialContext(ctx, "tcp", gateway)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(0) // The port is free at once.
	_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	request := "GET /?v=10&encoding=json HTTP/1.1\r\nHost: " + gateway +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err = io.WriteString(conn, request); err != nil {
		return err
	}
	var got []byte
	buf := make([]byte, 1024)
	for !bytes.Contains(got, []byte("heartbeat_interval")) {
		size, err := conn.Read(buf)
		if got = append(got, buf[:size]...); err != nil {
			return errors.Join(errNoHello, err)
		}
	}
	return nil
}

// quantile of values in any order; 0 of none.
func quantile(of []float64, q float64) float64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[min(int(q*float64(len(of))), len(of)-1)]
}
