// Package cluster is what makes many hosts work as one: who is there, what flows between them, and
// what outlives each of them. The engines are existing ones, and this package drives them.
//
//   - Membership (etcd): a node's record under a lease, everybody's records as an immutable View
//     with the ring that places guilds, and until when this node may act as an owner.
//   - Bus (NATS): items from node to node in order, in batches, without gaps; where something was
//     lost both sides are told, and begin anew.
//   - Log (JetStream): messages that are acknowledged when they are stored, the last of each
//     subject, which every node follows; many as one, and none of who has lost the fence.
//
// The decisions are in files without a clock or a socket and are tested without an engine:
// view.go (a View from key-values), lease.go (the deadline), pair.go (what was lost), outbox.go
// and batch.go (bytes), logqueue.go (what is written when), logverdict.go (what became of it).
// The drivers are tested with real servers as processes (enginetest).
//
// It knows no guild and no session, and never waits for who calls it: what cannot be queued is
// refused. It does not decide what follows from a change; node does. Only node and package replica,
// which makes a directory of the log, import it.
//
// Start reading at View, then Join, then NewBus.
package cluster
