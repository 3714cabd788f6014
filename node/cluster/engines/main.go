// Command engines runs etcd or nats-server, the existing engines that many nodes work with, as a
// process of its own: for the tests and for the three-node script, so that nothing has to be
// installed by hand and both can be killed at any moment and started again on their data.
//
// They are the real servers, as libraries: go.etcd.io/etcd/server/v3/embed and
// github.com/nats-io/nats-server/v2/server. Everything that is not a flag here is as they have it.
// When one is ready it writes where it listens as one line of JSON, {"client":URL,"peer":URL}; its
// log goes to standard error. It ends in order on SIGTERM and on an interrupt, and with -attached
// also when its standard input ends, which is when whoever started it is gone. It is a module of
// its own, so that what the engines need stays out of the product's go.mod. It is no way to run
// them for others: there they come from their makers.
//
//	engines etcd -data DIR -client 127.0.0.1:2379 -peer 127.0.0.1:2380
//	engines nats -data DIR -client 127.0.0.1:4222 -sync-always
//
// Start reading at etcd.go and nats.go.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// readyTimeout: the members of a cluster are ready when most of them have been started.
const readyTimeout = time.Minute

// engine is a server that is ready.
type engine struct {
	Client string `json:"client"`
	Peer   string `json:"peer,omitempty"`

	failed <-chan error // Nil, or what ends it when it ends by itself.
	stop   func()
}

// security is how its clients' connections are secured.
type security struct {
	cert, key, ca string
}

func (s *security) flags(set *flag.FlagSet) {
	set.StringVar(&s.cert, "cert", "", "certificate `file` (PEM); clients then speak TLS")
	set.StringVar(&s.key, "key", "", "its key `file` (PEM)")
	set.StringVar(&s.ca, "ca", "", "authority `file` (PEM); clients then need a certificate of it")
}

func main() {
	starts := map[string]func(*flag.FlagSet, []string) (*engine, error){
		"etcd": startEtcd, "nats": startNATS,
	}
	if len(os.Args) < 2 || starts[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: engines etcd|nats [flags]; -help after the name lists them")
		os.Exit(2)
	}
	set := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	attached := set.Bool("attached", false, "end when standard input ends")
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	e, err := starts[os.Args[1]](set, os.Args[2:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	ready, _ := json.Marshal(e)
	fmt.Printf("%s\n", ready)

	orphaned := make(chan struct{})
	if *attached {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			close(orphaned)
		}()
	}
	select {
	case <-end:
	case <-orphaned:
	case err = <-e.failed:
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	e.stop()
}
