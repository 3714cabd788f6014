// Command centrifuge is the centrifuge library as a peer of bench/against: a node in memory with
// a WebSocket door, through which anybody may connect and subscribe to any channel.
//
// Everything that is not needed for that is as the library has it: buffers, queue sizes, pings.
// Compression is not negotiated. A channel has no history, presence or recovery, since those cost
// memory and the comparison is about delivery. POST /publish?channel=C takes one publication a
// line, which the node publishes one after the other. It writes where it listens as one line of
// JSON, {"ws":"host:port","publish":"host:port"}, and runs until it is killed.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/centrifugal/centrifuge"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "centrifuge: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return err
	}
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return err
	}
	anybody := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who := centrifuge.SetCredentials(r.Context(), &centrifuge.Credentials{})
			next.ServeHTTP(w, r.WithContext(who))
		})
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket",
		anybody(centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{})))
	mux.HandleFunc("POST /publish", func(w http.ResponseWriter, r *http.Request) {
		lines := bufio.NewScanner(r.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			// The node keeps what it publishes, and the scanner's bytes are only lent.
			data := append([]byte(nil), lines.Bytes()...)
			if _, err := node.Publish(r.URL.Query().Get("channel"), data); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
	})
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf(`{"ws":"%s","publish":"%[1]s"}`+"\n", door.Addr())
	return http.Serve(door, mux)
}
