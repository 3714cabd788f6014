// Package replica is the directory of a node that is one of many: a store.Directory that reads
// from this node's own store and writes to the log that all nodes follow.
//
// Apply turns ops into messages of the log, and returns when the log has stored them and this node
// has applied them to its store. Every node applies all messages in the order of the log, so each
// of them can load any guild, and a node that is new, or was away, catches up from the log. The log
// keeps the last message of each subject only; each subject is made so that who reads no more than
// that comes to the same state (see subject.go).
//
// What nobody else may write is fenced: each batch is stored only while the node's own subject in
// the log ends with the message by which it joined. Others end that by sealing it (see fence.go).
//
// It decides nothing: who owns a guild, whom to tell of a change and when to seal is node's. It
// knows no client of the log, either; Log is what it wants of one. Its calls wait, for the log
// and for a disk, so no event loop and no guild shard makes them.
//
// Start reading at Directory, then Apply and plan.go for writing, follow.go for applying.
package replica
