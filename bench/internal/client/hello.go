package client

import (
	"bytes"
	"context"
	"io"
	"net"
	"time"
)

// Request is what opens a connection to a gateway.
func Request(gateway string) string {
	return "GET /?v=10&encoding=json HTTP/1.1\r\nHost: " + gateway + "\r\nUpgrade: websocket\r\n" +
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// Hello is a connection that has been told HELLO, and nothing else has been said on it. It waits
// for that until the context ends, or for as long as limit.
func Hello(ctx context.Context, gateway string, limit time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: limit}
	conn, err := d.DialContext(ctx, "tcp", gateway)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err = io.WriteString(conn, Request(gateway)); err == nil {
		var got []byte
		buf := make([]byte, 1024)
		for n := 0; err == nil && !bytes.Contains(got, []byte("heartbeat_interval")); {
			n, err = conn.Read(buf)
			got = append(got, buf[:n]...)
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, nil
}
