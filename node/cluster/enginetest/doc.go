// Package enginetest starts real etcd and NATS servers for tests, stops them, kills them, and
// starts them again on the same data and address.
//
// The program is node/cluster/engines, a module of its own. It is built when a test run first
// needs it, once for each test binary, and removed at the end: TestMain calls Main. An engine
// listens on loopback ports outside the range that the kernel gives to outgoing connections, so
// that its address is still free when it comes back. It dies with the test binary, even when that
// is killed, because its standard input ends then; and by itself only a test ends it.
//
// Proxy stands between a client and an engine, and can be frozen or cut: to the client that is a
// partition, or an engine that was stopped. Authority makes certificates for TLS.
//
// Only tests import it. Nothing here skips: whether real servers are wanted is the test's to say.
// Start reading at Etcd and NATS.
package enginetest
