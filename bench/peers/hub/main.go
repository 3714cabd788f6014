// Command hub is a peer of bench/against: the broadcast hub that most Go programs begin with, two
// goroutines and a channel per connection, on github.com/coder/websocket.
//
// A publication goes into the channel of every connection, whose own goroutine writes it to the
// socket. The channel holds queueMax publications; a connection whose channel is full is closed,
// as the library's own chat example does with a shorter one. The payload is shared and never
// copied or encoded again. POST /publish takes one publication a line. It writes where it listens
// as one line of JSON, {"ws":"host:port","publish":"host:port"}, and runs until it is killed.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/coder/websocket"
)

// queueMax is how many publications may wait for one connection: four of the bench's bursts.
const queueMax = 256

type hub struct {
	// Guarded by mu.
	mu      sync.Mutex
	members map[*member]struct{}
}

type member struct {
	queue chan []byte
	leave context.CancelFunc
}

func main() {
	h := &hub{members: map[*member]struct{}{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/", h.join)
	mux.HandleFunc("POST /publish", h.publish)
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintf(os.Stderr, "hub: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf(`{"ws":"%s","publish":"%[1]s"}`+"\n", door.Addr())
	fmt.Fprintf(os.Stderr, "hub: %v\n", http.Serve(door, mux))
	os.Exit(1)
}

// join serves one connection until it ends.
func (h *hub) join(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	ctx, cancel := context.WithCancel(c.CloseRead(r.Context()))
	defer cancel()
	m := &member{queue: make(chan []byte, queueMax), leave: cancel}
	h.mu.Lock()
	h.members[m] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.members, m)
		h.mu.Unlock()
	}()
	for {
		select {
		case payload := <-m.queue:
			if err := c.Write(ctx, websocket.MessageText, payload); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (h *hub) publish(_ http.ResponseWriter, r *http.Request) {
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		payload := append([]byte(nil), lines.Bytes()...)
		h.mu.Lock()
		for m := range h.members {
			select {
			case m.queue <- payload:
			default:
				m.leave()
			}
		}
		h.mu.Unlock()
	}
}
