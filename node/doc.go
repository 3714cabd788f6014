// Package node is one host: sockets, event loops, sessions, guild shards and the doors to them.
//
// It owns everything that has a goroutine, a clock or a socket. The rules of the protocol's bytes
// are in wire, who sees which event is in fanout, what is kept is in store; node moves messages
// between them. There is one event loop per processor, which owns its sockets, its sessions, its
// journal and its relays, and one guild shard per processor, which owns the guilds that hash to
// it. Nothing mutable has two owners: what crosses is a message in a bounded inbox.
//
// A node may be one of many (mesh.go). A guild lives on one of them; on the others its shard has a
// link in its place, which passes on what sessions ask and what the owner tells. What drives that
// by etcd and NATS is in clustered.go and package cluster.
//
// It never blocks a loop: disk, token checks and scans over members run on the worker pool and
// come back as messages. It never sends an event of a guild before that guild's GUILD_CREATE, and
// never skips a sequence number: a session that cannot be served in order is closed and told.
//
// Only main imports it. The loops and shards here know no poller: engine.go drives them in a
// process, simulation_test.go drives them in one goroutine from a seed.
//
// Start reading at loop.go, then socket.go (bytes in), identify.go (a session begins), shard.go
// (an event comes) and flush.go (bytes out).
package node
