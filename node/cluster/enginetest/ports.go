package enginetest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// The kernel takes ports of outgoing connections from 32,768 on. One from there could be in use
// by anybody's connection when a killed engine wants it back.
const (
	portMin   = 20_000
	portMax   = 32_000
	portTries = 1000
)

// given are the ports that this process has given away. Guarded by mu.
var given struct {
	mu    sync.Mutex
	ports map[int]bool
}

// freeAddress is a loopback address that nobody listens at. Test binaries that run side by side
// choose at random, so that they hardly ever choose the same.
func freeAddress(t testing.TB) string {
	t.Helper()
	given.mu.Lock()
	defer given.mu.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	for range portTries {
		port := portMin + rand.IntN(portMax-portMin)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if given.ports[port] {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			given.ports[port] = true
			return address
		}
	}
	t.Fatalf("no free port after %d tries", portTries)
	return ""
}
