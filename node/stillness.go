package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/queue"

	"throng/fanout"
	"throng/tuning"
)

// stillness is a node in which nothing is under way: every message has been handled, and what came
// of it too. Then what its owners have is all that there is, and it can be read out.
//
// The doors of HTTP are shut before, so that what still comes from outside comes by way of the
// sockets. Each loop is had to sit inside a task of its poller, where it reads no socket, accepts
// nobody and has no tick; it is made to work through its inbox from there, step by step. When
// loops, workers and keeper have nothing left, the shards are had to sit too, behind what waits for
// them, and it is looked once more: workers and keeper first, which are given work by loops and
// shards alone, then the loops, and then whether anything waits for a shard. If nothing does,
// nothing is under way: whoever could begin something sits. If something does, the shards go on for
// a while.
//
// What comes by the clock (ticks, voice servers whose reports are overdue) waits in line behind
// those who sit.
type stillness struct {
	// Static after construction.
	node  *Node
	loops []*seat[*driver]

	// Owned by whoever has them sit.
	shards []*seat[*shard]
}

var errBusy = errors.New("it did not come to rest")

// standStill has the node stand still, or fails and lets it go on.
func (n *Node) standStill(patience time.Duration) (*stillness, error) {
	began := time.Now()
	end := began.Add(patience)
	t := &stillness{node: n}
	for _, d := range n.engine.drivers {
		s := newSeat[*driver](n.core.over)
		t.loops = append(t.loops, s)
		if !d.trigger(queue.HighPriority, func(any) error { s.sit(d); return nil }) {
			t.goOn()
			return nil, errSeatOver
		}
	}
	for !allTaken(t.loops) {
		if !t.wait(end) {
			t.goOn()
			return nil, fmt.Errorf("loops: %w", errBusy)
		}
	}
	for {
		insist := time.Since(began) > tuning.TakeoverAnswersTimeout
		still, err := t.settle(insist, end)
		if still {
			return t, nil
		}
		if err == nil && !t.wait(end) {
			err = errBusy
		}
		if err != nil {
			t.goOn()
			return nil, err
		}
	}
}

func allTaken[T any](seats []*seat[T]) bool {
	for _, s := range seats {
		if !s.isTaken() {
			return false
		}
	}
	return true
}

// wait lets others go on for a moment. It is false when there is no time left.
func (t *stillness) wait(end time.Time) bool {
	select {
	case <-time.After(stillPause):
		return time.Now().Before(end)
	case <-t.node.core.over:
		return false
	}
}

const stillPause = 200 * time.Microsecond

// settle has all that waits done, and says whether nothing is left.
func (t *stillness) settle(insist bool, end time.Time) (still bool, err error) {
	if rest, err := t.step(insist); !rest || err != nil || !t.helpersRest() {
		return false, err
	}
	for _, s := range t.node.core.shards {
		if state := s.inbox.state(); state.depth > 0 || state.taken > 0 {
			return false, nil
		}
	}
	for _, s := range t.node.core.shards {
		m := &sitShard{seat: newSeat[*shard](t.node.core.over)}
		t.shards = append(t.shards, m.seat)
		s.inbox.push(m)
	}
	for !allTaken(t.shards) {
		// A shard may wait for room in a loop's inbox.
		if _, err := t.step(insist); err != nil {
			return false, err
		}
		if !t.wait(end) {
			return false, errBusy
		}
	}
	still = t.helpersRest()
	rest, err := t.step(insist)
	still = still && rest
	for _, s := range t.shards {
		if err != nil || !still {
			break
		}
		err = s.do(func(s *shard) error {
			still = still && s.rests()
			return nil
		})
	}
	if !still {
		t.shardsGoOn()
	}
	return still && err == nil, err
}

// helpersRest says whether workers, keeper and courier have nothing to do.
func (t *stillness) helpersRest() bool {
	n := t.node
	kept := n.keeper.queue.state()
	return n.workers.busy.Load() == 0 && kept.depth == 0 && kept.taken == 0 &&
		n.core.courier.quiet.Load() && n.core.courier.renames.ahead.Load() == 0 &&
		n.core.voice.Waiting() == 0
}

// step has each loop work through what it has. It says whether all of them had nothing, and still
// have nothing.
func (t *stillness) step(insist bool) (rest bool, err error) {
	rest = true
	for _, s := range t.loops {
		err := s.do(func(d *driver) error {
			d.loop.giveUpStreams(insist)
			rest = rest && d.loop.rests()
			d.guard(nil, d.loop.pass)
			rest = rest && d.loop.rests()
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return rest, nil
}

// rests says whether there is nothing that the loop has to do.
func (l *loop) rests() bool {
	return l.inbox.depth() == 0 && l.calls.depth() == 0 && l.said.done == len(l.said.work) &&
		l.called.done == len(l.called.work) && !l.board.Busy() && !l.out.HasDirty() &&
		l.joining == 0 && l.making == 0 && len(l.streams) == 0
}

// giveUpStreams ends sessions whose requests for members will not be answered, for their clients
// are away, or all that are not answered yet: what is left of an answer cannot be carried
// elsewhere, and they are not to be short of it in silence.
func (l *loop) giveUpStreams(all bool) {
	for _, m := range l.streams {
		if s := l.session(m.to); s != nil && !s.broken && (all || s.socket == nil) {
			l.endSession(s, NodeDraining)
		}
	}
	l.endStreams()
}

// rests says the same of a shard that sits, and of its guilds.
func (s *shard) rests() bool {
	// The batch that it is at has the message that had it sit, and nothing else.
	if state := s.inbox.state(); state.depth > 0 || state.taken > 1 || len(s.unread) > 0 {
		return false
	}
	rest := true
	for _, p := range s.guilds {
		switch {
		case p.guild == nil || p.goesOn || len(p.parked) > 0:
			rest = false
		case p.guild.Holds():
			change := p.guild.Tick(s.core.wall())
			s.emit(p.guild, &change)
			rest = false
		}
	}
	return rest
}

// shardsGoOn lets the shards go on.
func (t *stillness) shardsGoOn() {
	for _, s := range t.shards {
		s.letGo()
	}
	t.shards = nil
}

// loopsGoOn lets the loops go on.
func (t *stillness) loopsGoOn() {
	for _, s := range t.loops {
		s.letGo()
	}
	t.loops = nil
}

// goOn lets everybody go on as if nothing had been.
func (t *stillness) goOn() {
	t.shardsGoOn()
	t.loopsGoOn()
}

// eachLoop calls f for each loop, on its goroutine.
func (t *stillness) eachLoop(f func(d *driver) error) error {
	for i, s := range t.loops {
		if err := s.do(f); err != nil {
			return fmt.Errorf("loop %d: %w", i, err)
		}
	}
	return nil
}

// eachShard does so for each shard.
func (t *stillness) eachShard(f func(s *shard) error) error {
	for i, s := range t.shards {
		if err := s.do(f); err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
	}
	return nil
}

// sitShard has a shard sit still.
type sitShard struct {
	guildCall
	seat *seat[*shard]
}

func (m *sitShard) kind() messageKind           { return kindOperate }
func (m *sitShard) refuse(*shard, error)        {}
func (m *sitShard) apply(*shard, *fanout.Guild) {}

func (m *sitShard) do(s *shard) {
	s.stats.rest() // To sit is no stall.
	m.seat.sit(s)
}
