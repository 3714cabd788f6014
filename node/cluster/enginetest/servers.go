package enginetest

import (
	"fmt"
	"strings"
	"testing"
)

// Etcd starts an etcd of one member. The flags are those of the engines program.
func Etcd(t testing.TB, flags ...string) *Engine {
	t.Helper()
	e := newEngine(t, "etcd", append([]string{
		"-data", t.TempDir(), "-client", freeAddress(t), "-peer", freeAddress(t),
	}, flags...))
	e.Start()
	return e
}

// EtcdCluster starts an etcd of several members.
func EtcdCluster(t testing.TB, members int, flags ...string) []*Engine {
	t.Helper()
	peers := make([]string, members)
	var all []string
	for i := range peers {
		peers[i] = freeAddress(t)
		all = append(all, fmt.Sprintf("m%d=http://%s", i, peers[i]))
	}
	engines := make([]*Engine, members)
	for i := range engines {
		engines[i] = newEngine(t, "etcd", append([]string{
			"-data", t.TempDir(), "-client", freeAddress(t), "-peer", peers[i],
			"-name", fmt.Sprintf("m%d", i), "-cluster", strings.Join(all, ","),
		}, flags...))
	}
	startAll(t, engines)
	return engines
}

// NATS starts a nats-server with streams.
func NATS(t testing.TB, flags ...string) *Engine {
	t.Helper()
	e := newEngine(t, "nats", append([]string{
		"-data", t.TempDir(), "-client", freeAddress(t),
	}, flags...))
	e.Start()
	return e
}

// NATSCluster starts several nats-servers that are one cluster, with streams.
func NATSCluster(t testing.TB, servers int, flags ...string) []*Engine {
	t.Helper()
	peers := make([]string, servers)
	var routes []string
	for i := range peers {
		peers[i] = freeAddress(t)
		routes = append(routes, "nats://"+peers[i])
	}
	engines := make([]*Engine, servers)
	for i := range engines {
		engines[i] = newEngine(t, "nats", append([]string{
			"-data", t.TempDir(), "-client", freeAddress(t), "-peer", peers[i],
			"-name", fmt.Sprintf("n%d", i), "-cluster", strings.Join(routes, ","),
		}, flags...))
	}
	startAll(t, engines)
	return engines
}

// startAll starts engines of which none is ready before most of them run.
func startAll(t testing.TB, engines []*Engine) {
	t.Helper()
	awaits := make([]func() error, len(engines))
	for i, e := range engines {
		awaits[i] = e.launch()
	}
	for _, await := range awaits {
		if err := await(); err != nil {
			t.Fatal(err)
		}
	}
}

// Addresses are the URLs of engines.
func Addresses(engines []*Engine) []string {
	all := make([]string, len(engines))
	for i, e := range engines {
		all[i] = e.Address()
	}
	return all
}
