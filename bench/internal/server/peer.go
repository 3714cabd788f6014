package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Peer is one of the servers in bench/peers.
type Peer struct {
	*Process
	WS string // host:port

	// Static after construction.
	publish string // host:port
	client  *http.Client
	nats    net.Conn // Nil for those who take publications by HTTP.
}

// StartPeer runs a peer's program. NATS tells that publications go over the NATS protocol.
func StartPeer(ctx context.Context, name, program string, nats bool) (*Peer, error) {
	p := &Peer{client: &http.Client{Timeout: time.Minute}}
	type doors struct{ WS, Publish string }
	opened := make(chan doors, 1)
	var err error
	p.Process, err = start(name, nil, func(line string) {
		var d doors
		if json.Unmarshal([]byte(line), &d) == nil && d.WS != "" {
			opened <- d
		}
	}, program)
	if err != nil {
		return nil, err
	}
	d, err := wait(ctx, p.Process, opened, "where it listens")
	if err != nil {
		return nil, err
	}
	p.WS, p.publish = d.WS, d.Publish
	if nats {
		if err := p.dialNATS(); err != nil {
			_ = p.Stop()
			return nil, err
		}
	}
	return p, nil
}

// Address is where a peer takes publications, as host:port.
func (p *Peer) Address() string { return p.publish }

// dialNATS opens the publisher's connection and answers its pings from then on.
func (p *Peer) dialNATS() (err error) {
	if p.nats, err = net.Dial("tcp", p.publish); err != nil {
		return err
	}
	hello := `CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1"}` + "\r\n"
	if _, err = p.nats.Write([]byte(hello)); err != nil {
		return err
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := p.nats.Read(buf)
			if err != nil {
				return
			}
			if bytes.Contains(buf[:n], []byte("PING\r\n")) {
				_, _ = p.nats.Write([]byte("PONG\r\n"))
			}
		}
	}()
	return nil
}

// Publish gives payloads to the peer, for the receivers of a room.
func (p *Peer) Publish(ctx context.Context, room string, payloads [][]byte) error {
	var body bytes.Buffer
	if p.nats != nil {
		for _, payload := range payloads {
			fmt.Fprintf(&body, "PUB %s %d\r\n%s\r\n", room, len(payload), payload)
		}
		_, err := p.nats.Write(body.Bytes())
		return err
	}
	for _, payload := range payloads {
		body.Write(payload)
		body.WriteByte('\n')
	}
	address := "http://" + p.publish + "/publish?channel=" + url.QueryEscape(room)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, &body)
	if err != nil {
		return err
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status + ": " + strings.TrimSpace(string(text)))
	}
	return err
}
