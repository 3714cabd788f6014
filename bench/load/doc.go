// Package load is a load generator for gateways: it plays many clients and a backend, and reports
// what they saw.
//
// It opens connections from many loopback addresses and does what a client library does (HELLO,
// IDENTIFY, heartbeats, RESUME after a cut), checks that every session's sequence numbers rise by
// one, publishes events through the node's admin HTTP at a given rate or in bursts, and takes the
// time from the moment an event was to be published to the moment each client had it. It imports
// nothing of a node and talks to it over TCP alone, so it serves for other gateways too: any that
// speaks the Discord protocol, and through other targets plain WebSocket rooms, nats-server and
// centrifuge.
//
// The client's side has to be far cheaper than the server's, or it measures itself. There is no
// goroutine per connection but one or two epoll loops, about 200 bytes a connection, frames are
// scanned in place, and of a dispatch only what is wanted is read: op, s, t and the mark. The mark
// is "ts":<unix nanoseconds> in the event, the time at which it was to be sent: a publisher that
// falls behind skips nothing and corrects nothing, so that a stalled server shows as latency and
// not as events that were never asked for.
//
// Main calls Run for the command `throng load`; its flags are in Bind. Start reading at Run.
package load
