package faulttest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

const patience = 30 * time.Second

// pair is a client and, behind a proxy, its server.
func pair(t *testing.T) (p *Proxy, client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p = Listen(t, l.Addr().String(), net.Dialer{})
	if client, err = net.Dial("tcp", p.Address()); err == nil {
		server, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{client, server} {
		_ = c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { _ = c.Close() })
	}
	// The kernel has taken the connection before the proxy has.
	if _, err := client.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return p, client, server
}

// nothing holds that nothing comes, not even the end, for a moment.
func nothing(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if n != 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("%d octets came, %v", n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
}

// TestFaultsChangeNoOctet: what is late, narrow or in pieces comes all the same.
func TestFaultsChangeNoOctet(t *testing.T) {
	for name, f := range map[string]Fault{
		"none": {}, "late": {Latency: time.Millisecond}, "in pieces": {PieceMax: 3},
		"narrow": {BytesPerSecond: 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, client, server := pair(t)
			p.Set(Up, f)
			sent := bytes.Repeat([]byte("0123456789"), 1000)
			began := time.Now()
			go func() {
				_, _ = client.Write(sent)
				_ = client.Close()
			}()
			got, err := io.ReadAll(server)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d octets came of %d, %v", len(got), len(sent), err)
			}
			if took := time.Since(began); f.BytesPerSecond > 0 && took < 90*time.Millisecond {
				t.Errorf("a narrow way took %v", took)
			}
		})
	}
}

// TestStalledWayGoesOn: nothing comes while it stalls, and everything afterwards.
func TestStalledWayGoesOn(t *testing.T) {
	t.Parallel()
	p, client, server := pair(t)
	p.Set(Up, Fault{Stall: true})
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 1)
	if _, err := client.Read(one); err != nil || one[0] != 'y' {
		t.Fatalf("the other way: %q, %v", one, err)
	}
	nothing(t, server)
	p.Set(Up, Fault{})
	if _, err := server.Read(one); err != nil || one[0] != 'x' {
		t.Errorf("afterwards: %q, %v", one, err)
	}
}

// TestResetIsAReset: both sides are told by RST.
func TestResetIsAReset(t *testing.T) {
	t.Parallel()
	p, client, server := pair(t)
	p.Reset()
	for name, c := range map[string]net.Conn{"client": client, "server": server} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestHoleTellsNobody: what went into it is gone, and so is the end of it.
func TestHoleTellsNobody(t *testing.T) {
	t.Parallel()
	p, client, server := pair(t)
	p.Set(Up, Fault{Hole: true})
	_, _ = client.Write([]byte("x"))
	_ = client.Close()
	nothing(t, server)
}
