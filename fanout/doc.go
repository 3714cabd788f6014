// Package fanout turns what happens in a guild into ordered steps for the event loops.
//
// A Guild is a state machine: a call with an event and the time goes in, a Change comes out, whose
// Msgs the caller puts into the loops' inboxes in the order they stand. A Board is the other half,
// on the loop: it holds a relay per guild, the receivers of that guild on that loop, and walks them
// for each message. An event is encoded once, its audience is a bitset over visibility classes, and
// a publish costs the guild the same whether one session listens or a hundred thousand do.
//
// It never blocks, starts no goroutine, reads no clock and touches no socket or disk: a `now` in
// unix milliseconds comes with each call, and what has to be kept comes back as store operations.
// The caller is a guild shard of package node, which owns its guilds; only a Query may run
// elsewhere.
//
// Order: messages of one Change, and of Changes one after the other, reach each loop in that order.
// That alone makes GUILD_CREATE come before the guild's live events, and a member who lost sight of
// a channel miss everything after it. Start reading at Guild.Publish, then class.go, then Board.
package fanout
