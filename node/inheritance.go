package node

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"throng/fanout"
	"throng/store"
	"throng/tuning"
	"throng/wire"
	"throng/wire/pack"
)

// inheritance is what a process takes over from another, which has started it; see HandOver.
type inheritance struct {
	// Static after construction.
	node    *Node
	pipe    *legacyPipe
	shape   pack.Reader
	doors   []net.Listener // -api, -admin
	gateway []*os.File

	// Owned by Run.
	guilds map[wire.Snowflake]*heirloom
}

var errNoGuild = errors.New("a guild that sessions are in is not in the directory")

// legacyDoors are the listeners of HTTP, which come first.
const legacyDoors = 2

// openInheritance looks at what the process has inherited: so many descriptors.
func openInheritance(count int) (*inheritance, error) {
	const first = 3 // Behind standard input, output and error.
	if count < 1+legacyDoors+1 {
		return nil, fmt.Errorf("%s: %d is no number of descriptors", TakeoverVariable, count)
	}
	var files []*os.File
	for fd := first; fd < first+count; fd++ {
		unix.CloseOnExec(fd)
		files = append(files, os.NewFile(uintptr(fd), "inherited"))
	}
	conn, err := net.FileConn(files[0])
	_ = files[0].Close()
	if err != nil {
		return nil, err
	}
	x := &inheritance{pipe: newLegacyPipe(conn), gateway: files[1+legacyDoors:],
		guilds: map[wire.Snowflake]*heirloom{}}
	for _, f := range files[1 : 1+legacyDoors] {
		l, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			return nil, err
		}
		x.doors = append(x.doors, l)
	}
	part, err := x.pipe.await(legacyShape, tuning.TakeoverStartTimeout)
	if err != nil {
		return nil, fmt.Errorf("the process to take over from says nothing: %w", err)
	}
	x.shape = pack.NewReader(slices.Clone(part))
	if got := x.shape.Uint(agoMax); got != legacyFormat {
		return nil, fmt.Errorf("the process to take over from leaves what it has in form %d, and "+
			"this program reads form %d only; restart with SIGTERM", got, legacyFormat)
	}
	return x, nil
}

// loops is how many loops the other process has.
func (x *inheritance) loops() int {
	again := x.shape
	return int(again.Uint(loopsMax))
}

// suits says whether a node with these settings can take over.
func (x *inheritance) suits(n *Node) error {
	again := x.shape
	loops, journal, tag := again.Uint(loopsMax), again.Uint(agoMax), again.Uint(1<<16)
	lesson := again.Uint32()
	inMemory := again.Flags(1).Has(0)
	switch {
	case !again.Done():
		return errLegacy
	case n.cfg.many():
		return errTakeoverCluster
	case n.cfg.Loops != int(loops):
		return fmt.Errorf("-loops: it is %d, and the process to take over from has %d", n.cfg.Loops,
			loops)
	case uint64(n.cfg.Journal) != journal:
		return fmt.Errorf("-journal: it is %v, and the process to take over from has %v",
			n.cfg.Journal, tuning.Size(journal))
	case uint64(n.core.mesh.tag) != tag:
		return errors.New("-node: the process to take over from has another name")
	case lesson != wire.LessonSum():
		return errors.New("the process to take over from packs events for zstd-stream in a way " +
			"that this program does not; restart with SIGTERM")
	case n.cfg.InMemory != inMemory:
		return errors.New("-data: it is in memory here or in the process to take over from, " +
			"and not in both")
	}
	return n.engine.gate.inherit(x.gateway)
}

// take takes everything over. It is called before any owner runs, and returns when this process is
// to serve. After an error the other one goes on.
func (x *inheritance) take(n *Node) (err error) {
	x.node = n
	defer closeFiles(x.gateway)
	p := x.pipe
	defer func() {
		if err != nil {
			_ = p.conn.Close()
		}
	}()
	if err := p.say(legacyPrepared, nil); err != nil {
		return err
	}
	const wait = tuning.TakeoverRequestsTimeout + tuning.TakeoverStillTimeout +
		tuning.TakeoverMoveTimeout
	if err := p.conn.SetReadDeadline(time.Now().Add(2 * wait)); err != nil {
		return err
	}
	for {
		kind, part, err := p.next()
		if err == nil && kind == legacyEnd {
			break
		}
		if err == nil {
			err = x.takePart(kind, part)
		}
		if err != nil {
			return fmt.Errorf("what another process leaves cannot be taken: %w", err)
		}
	}
	for id, h := range x.guilds {
		if !h.done {
			return fmt.Errorf("guild %s: %w", id, errLegacy)
		}
	}
	x.listSessions()
	if err := p.say(legacyTaken, nil); err != nil {
		return err
	}
	// Without a word the other process has ended: before it goes on it ends this one.
	if err := p.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if kind, _, err := p.next(); err == nil && kind != legacyServe {
		return errLegacy
	} else if err != nil && !errors.Is(err, io.EOF) {
		n.log.Warn("the other process has ended before its time", "error", err)
	}
	p.part, x.guilds = nil, nil
	go x.hearEnd()
	return nil
}

// hearEnd drains when the other process was told to end while this one took over.
func (x *inheritance) hearEnd() {
	defer x.pipe.conn.Close()
	if kind, _, err := x.pipe.next(); err == nil && kind == legacyDrain {
		x.node.Drain()
	}
}

func (x *inheritance) takePart(kind legacyPart, part []byte) error {
	r := pack.NewReader(part)
	n := x.node
	switch kind {
	case legacyNode:
		return n.core.inheritVoice(&r)
	case legacyJournal, legacySlots, legacySessions, legacyRelay:
		index := r.Uint(loopsMax)
		if r.Failed() || int(index) >= len(n.core.loops) {
			return errLegacy
		}
		return n.core.loops[index].inherit(kind, r)
	case legacyUsers, legacyTokens, legacyDocument, legacyMembers:
		if len(part) == 0 {
			return nil
		}
		return inheritRecords(n.dir, kind, r)
	case legacyDirectory:
		return n.openHeld()
	case legacyGuild:
		return x.inherit(r)
	}
	return errLegacy
}

// listSessions has the table of live sessions hold them all, a user's in the order in which they
// began.
func (x *inheritance) listSessions() {
	type entry struct {
		began  int64
		user   wire.Snowflake
		handle fanout.Handle
	}
	var all []entry
	for _, l := range x.node.core.loops {
		for _, s := range l.sessions {
			if s != nil {
				all = append(all, entry{s.began, s.user, s.handle(l)})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.began, b.began) })
	for _, e := range all {
		x.node.core.addLive(e.user, e.handle)
	}
	x.node.log.Info("sessions are taken over", "count", len(all), "guilds", len(x.guilds))
}

// heldDirectory is the node's directory, which may be another one after a takeover that failed.
// Nobody asks it while it is exchanged; see stillness.
type heldDirectory struct{ store.Directory }

// noDirectory is the directory of a process that has not taken it over yet.
func noDirectory() store.Replica {
	none := store.NewMemory()
	_ = none.Close()
	return none
}
