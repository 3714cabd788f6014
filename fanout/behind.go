package fanout

import "sync/atomic"

// How far a guild is behind.
//
// A backend can publish events by the thousand a second, and a loop can hand out some forty of them
// to 15,000 sessions. Without a bound the rest lies in the loops' inboxes, where every other
// guild's events then stand behind it, and when these are full the shards wait too: one guild's
// flood was everybody's outage within ten seconds. So a guild counts what it has sent to loops and
// they have not handed out, and whoever publishes more is told to come again while others are
// served. Counted are looks at receivers, as that is the work: sixty events are nothing for a guild
// of a hundred, and a minute for one of a million.
//
// Another node is one loop more. It counts the loops that have yet to hand out each event (Arrived)
// and tells the guild's node how many events are done; see AddBehind.

// behind counts the events of one guild on their way, one for each loop that gets it. On a node
// that does not have the guild there is one for each event.
type behind struct {
	// Static after construction.
	over func() // Called when none is left, by who was last; nil for a guild.

	// Atomic: added to by the shard, taken from by loops.
	events atomic.Int64
}

func (b *behind) handedOut() {
	if b != nil && b.events.Add(-1) == 0 && b.over != nil {
		b.over()
	}
}

// Arrived has over called when every loop that the event is sent to has handed it out. The event
// has come from another node, and counts as sent once more until Arranged.
func (e *Event) Arrived(over func()) {
	e.behind = &behind{over: over}
	e.Sent()
}

// Arranged says that the event has been sent to all loops that get it.
func (e *Event) Arranged() { e.behind.handedOut() }

// AddBehind counts events that went to another node. Less than none: it has handed them out, or
// nobody there waits for them any more.
func (g *Guild) AddBehind(events int) { g.behind.events.Add(int64(events)) }

// Sent counts an event that goes to a loop. Whoever sends a Msg of kind MsgPublish says so first,
// for each loop.
func (e *Event) Sent() {
	if e.behind != nil {
		e.behind.events.Add(1)
	}
}

// Behind is how many receivers loops have still to look at, and how many events that are, each
// counted for each loop.
func (g *Guild) Behind() (receivers, events int) {
	events = int(g.behind.events.Load())
	if loops := len(g.receivers.loops.active); loops > 0 {
		receivers = events * (g.receivers.len() - g.receivers.passive) / loops
	}
	return receivers, events
}
