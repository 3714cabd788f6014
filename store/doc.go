// Package store holds what a node knows: members and their roles, users, the frames that sessions
// have yet to receive, and the directory of guilds that outlives a restart.
//
// It never starts a goroutine, reads a clock or touches a socket, and it knows no wire type: ids
// are plain uint64 and documents are opaque bytes. Four kinds of state live here:
//
//   - Tables that are read without a lock: Members and RoleSets belong to a guild and to the shard
//     that owns it; anyone may read RoleSets and Users at any time, and a Snapshot of Members.
//   - Roster and RankTree, the order of a guild's member lists, owned by the guild's shard alone.
//   - The send side of a loop, owned by that loop alone: a journal of frames that is send queue
//     and replay buffer at once, and per session a queue of 4-byte positions in it. A slow reader
//     therefore holds no bytes of its own.
//   - Ring, which node or shard owns a key: immutable, swapped whole behind one pointer.
//   - Directory, what is kept: users, tokens, guilds, members. NewMemory keeps it as long as the
//     process; store/disk keeps it in one bbolt file. Both pass one table of tests.
//
// Order and limits: a table shows a reader either the value before a write or the one after, never
// a mixture. Directory.Apply is atomic, and durable when it returns. A journal is bounded by its
// size, and that bounds all queues of its loop together.
//
// Start reading at Members for the tables and at Directory for what is kept.
package store
