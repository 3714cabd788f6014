// Command nats is nats-server as a peer of bench/against: the server of the module
// github.com/nats-io/nats-server, with a WebSocket listener and a plain one, both on loopback.
//
// Everything that is not needed to be started and found is as the module has it: limits, buffers,
// deadlines, pings. Receivers come by WebSocket and subscribe to one subject; the publisher is a
// plain NATS client, which is how a backend would publish. It writes where it listens as one line
// of JSON, {"ws":"host:port","publish":"host:port"}, and runs until it is killed. It is a module
// of its own with the other peers, so that what they need stays out of the product's go.mod. With
// -jetstream and a folder it has streams as well, for the tests of the node's NATS sink.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	folder := flag.String("jetstream", "", "`folder` of streams; without it there are none")
	flag.Parse()
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true}
	options.Websocket.Host = "127.0.0.1"
	options.Websocket.Port = server.RANDOM_PORT
	options.Websocket.NoTLS = true
	options.JetStream, options.StoreDir = *folder != "", *folder
	s, err := server.NewServer(options)
	if err != nil {
		fmt.Fprintf(os.Stderr, "nats: %v\n", err)
		os.Exit(1)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		fmt.Fprintln(os.Stderr, "nats: not ready after 10 s")
		os.Exit(1)
	}
	fmt.Printf(`{"ws":"%s:%d","publish":"%s"}`+"\n", options.Websocket.Host,
		options.Websocket.Port, s.Addr())
	select {}
}
