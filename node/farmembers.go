package node

import (
	"errors"
	"runtime"

	"throng/fanout"
	"throng/tuning"
	"throng/wire"
	"throng/wire/pack"
)

// farMembers is the answer to a member request of a guild that may live on another node, and may
// move while it is given. The session's loop asks for it chunk by chunk, whenever the session has
// room for one, and each time says what it wants and where it goes on. A worker of the guild's node
// makes the chunk of the members as they are then.
//
// So the guild's node keeps nothing of an answer, neither while a session is slow to take it nor
// when the session's node is lost; there is nothing to bound there, and nothing to take along when
// the guild moves. When the guild's node is lost half way, whoever owns the guild next goes on with
// the next chunk: a client that counts chunks gets every one, once. The price is that the answer is
// not of one moment. A local one is, and so tells a client of members who left before it came to
// them; see Query.GoOn for what a client makes of this one.
//
// The other way is to keep the plan, with its snapshot, at the guild. It is lost with the node, and
// then there is no right thing to do: begun again, chunk_index starts at 0 for a nonce that the
// client has half of, and with an end a client that waits for chunk_count waits for ever.
type farMembers struct {
	// Static after construction.
	query queryMembers

	// Owned by the loop goroutine.
	at    chunkPlace
	until int64 // The loop's time; then it is asked again.
}

// chunkPlace is a chunk of an answer.
type chunkPlace struct {
	ask   uint64 // Number of who asks for it, of all of a loop's; 0: nobody does.
	next  uint64 // Users from this one on.
	index int
}

func (c *chunkPlace) append(dst []byte) []byte {
	dst = pack.AppendUint64(pack.AppendUint(dst, c.ask), c.next)
	return pack.AppendUint(dst, uint64(c.index))
}

// chunksMax is more than any guild has.
const chunksMax = 1 << 30

func readChunkPlace(r *pack.Reader) chunkPlace {
	return chunkPlace{r.Uint(numberMax), r.Uint64(), int(r.Uint(chunksMax))}
}

// askingMax is how many chunks of answers of other nodes one loop asks for at a time.
const askingMax = tuning.ChunksAskedMax

// farUnderWay is 1 while a chunk of another node is waited for. One that does not come is asked for
// again.
func (m *memberStream) farUnderWay(now int64) int {
	if m.far == nil || !m.making {
		return 0
	}
	if now >= m.far.until {
		m.making = false
		return 0
	}
	return 1
}

// askChunk asks for the next chunk. A session that has to join the guild anew asks behind that.
func (l *loop) askChunk(s *session, m *memberStream) (asked bool) {
	f := m.far
	guild := f.query.guild
	switch {
	case !s.has(guild):
		m.over = !s.willAsk(guild)
		return false
	case l.asking == askingMax:
		return false
	}
	l.asks++
	l.asking++
	m.making = true
	f.at.ask, f.until = l.asks, l.time+l.core.limits.chunkAnswerMilli
	query := f.query
	query.at = f.at
	l.core.shardOf(guild).inbox.push(&query)
	return true
}

// unanswered says that a guild does not answer what the session has asked of it.
func (s *session) unanswered(guild wire.Snowflake) {
	if s.habits == nil || len(s.habits.requests) == 0 {
		return
	}
	if m := s.habits.requests[0]; m.far != nil && m.far.query.guild == guild {
		m.making, m.far.at.ask = false, 0
	}
}

// What becomes of a request for a chunk.
const (
	chunkMade = iota
	chunkLast
	chunkLater // The other node has too much to do.
	chunkNever
	chunkOutcomes
)

// chunkAnswer brings the loop what it has asked for.
type chunkAnswer struct {
	to      fanout.Handle
	at      chunkPlace // Where the answer goes on.
	outcome byte
	body    []byte
}

func (m *chunkAnswer) kind() messageKind { return kindChunks }

func (m *chunkAnswer) do(l *loop) {
	s := l.session(m.to)
	if s == nil || s.habits == nil || len(s.habits.requests) == 0 {
		return
	}
	of := s.habits.requests[0]
	if of.far == nil || of.far.at.ask != m.at.ask {
		return // It has been asked for again.
	}
	f := of.far
	f.at.ask = 0
	switch m.outcome {
	case chunkLater:
		f.until = l.time + l.core.limits.chunkAgainMilli
		return
	case chunkMade:
		f.at = chunkPlace{next: m.at.next, index: m.at.index}
	default:
		of.over = true
	}
	of.making = false
	if m.outcome != chunkNever {
		d := wire.NewDispatch("GUILD_MEMBERS_CHUNK", m.body, nil)
		l.sendAnswer(m.to, []*wire.Dispatch{d})
	}
}

// chunkAnswerer answers a request for a chunk, from any goroutine.
type chunkAnswerer struct {
	core   *core
	guild  wire.Snowflake
	remote *remote // Nil: the session is of this node.
	answer chunkAnswer
}

func (s *shard) answerer(m *queryMembers) *chunkAnswerer {
	a := &chunkAnswerer{core: s.core, guild: m.guild,
		answer: chunkAnswer{to: m.handle, at: m.at, outcome: chunkNever}}
	if int(m.handle.Loop) >= len(s.core.loops) {
		a.remote = s.answering.remote
		a.answer.to = homeHandle(m.handle)
	}
	return a
}

// makeChunk has a worker make the chunk that is asked for.
func (s *shard) makeChunk(m *queryMembers, q *fanout.Query) {
	a := s.answerer(m)
	q.GoOn(m.at.next, m.at.index)
	ok := s.core.submit(kindJobChunks, func() {
		defer a.send() // Should Next fail, that is the end of it.
		a.make(q)
	})
	if !ok {
		a.refuse(errGuildBusy)
	}
}

func (a *chunkAnswerer) make(q *fanout.Query) {
	c := &a.answer
	for _, d := range q.Next(1, &fanout.ChunkRoom{}, runtime.Gosched) {
		c.outcome, c.body = chunkMade, d.Body()
	}
	c.at.next, c.at.index = q.Place()
	if len(c.body) > chunkBytesMax {
		c.outcome, c.body = chunkNever, nil
	} else if q.Done() {
		c.outcome = chunkLast
	}
}

// chunkBytesMax of a chunk fit into an item. A thousand members are some 400 KB, and with all that
// their presences may say a tenth of it.
const chunkBytesMax = tuning.BusItemBytesMax - 1024

func (a *chunkAnswerer) refuse(err error) {
	if errors.Is(err, errGuildBusy) || errors.Is(err, errElsewhere) {
		a.answer.outcome = chunkLater
	}
	a.send()
}

func (a *chunkAnswerer) send() {
	c := &a.answer
	if a.remote == nil {
		a.core.loops[c.to.Loop].calls.push(c)
		return
	}
	item := append(make([]byte, 0, len(c.body)+64), byte(itemChunk))
	item = pack.AppendID(item, a.guild)
	item = pack.AppendUint(item, a.core.mesh.generation())
	item = c.at.append(fanout.AppendHandle(item, c.to))
	a.remote.send(append(append(item, c.outcome), c.body...))
}

// chunk takes a chunk to the loop that has asked for it. Whether it still wants it, the loop knows.
func (s *shard) chunk(m *farItem) error {
	r := &m.rest
	c := &chunkAnswer{to: fanout.ReadHandle(r), at: readChunkPlace(r), outcome: r.Byte()}
	c.body = r.Rest()
	made := c.outcome == chunkMade || c.outcome == chunkLast
	if r.Failed() || c.outcome >= chunkOutcomes || int(c.to.Loop) >= len(s.core.loops) ||
		made != (len(c.body) > 0) {
		return errItem
	}
	s.core.loops[c.to.Loop].calls.push(c)
	return nil
}
