package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"throng/store"
)

// Directory is the directory of a node in a cluster. What it reads is the node's own store, which
// follows the log.
type Directory struct {
	// Static after construction.
	store.Replica // The node's own store. Only the following goroutine writes to it.
	cfg           Config
	log           Log
	limits        limits
	stop          context.CancelFunc
	stopped       context.Context
	running       sync.WaitGroup

	// turn holds one token: who has it may write to the log.
	turn chan struct{}

	// Owned by who has the turn.
	writing writing

	// Guarded by mu.
	mu       sync.Mutex
	queue    queue
	applied  uint64
	fences   map[string]fence
	imported importState
	joined   uint64                // This node's incarnation; zero before it joins.
	waiting  map[chan error]uint64 // Told when that sequence is applied.
	failing  error                 // Why the store does not take what is next.
	ended    bool
	next     *syncCall // Of who has asked since the last one was sent.

	// Guarded by itself: one Sync is under way at a time.
	syncing sync.Mutex
}

// Config says what a Directory is made of.
type Config struct {
	Node  string
	Store store.Replica // Nobody else writes to it; Close closes it.
	// OnApplied is told what was applied, in order, when the store has it and before anybody who
	// waits for it goes on. It holds up all that comes after it. Nil for none.
	OnApplied func(*Applied)
	Log       *slog.Logger // Nil for none.
}

// Applied is what some messages of the log have changed.
type Applied struct {
	Seq     uint64 // Of the last of them.
	Users   []UserPut
	Joined  []Joined
	Deleted []uint64 // Guilds.
}

// UserPut is a user that was put. Old is nil when there was none.
type UserPut struct{ Old, New *store.User }

// Joined are users that have become members of a guild.
type Joined struct {
	Guild uint64
	Users []uint64
}

const (
	notePosition = "position"
	noteFences   = "fences"
	noteLog      = "log"
	noteGuild    = "guild/" // With the guild: its incarnation.
)

// Open returns the directory over what a store has. It fails with ErrAlone when that is not a
// cluster's: see Import.
func Open(cfg Config) (*Directory, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Directory{
		Replica: cfg.Store, cfg: cfg, limits: defaultLimits, turn: make(chan struct{}, 1),
		waiting: map[chan error]uint64{},
	}
	d.queue.init(&d.mu)
	d.turn <- struct{}{}
	d.stopped, d.stop = context.WithCancel(context.Background())
	var err error
	if d.applied, err = position(cfg.Store); err != nil {
		return nil, err
	}
	note, err := cfg.Store.Note(noteFences)
	if err != nil {
		return nil, err
	}
	if d.fences, err = decodeFences(note); err != nil {
		return nil, fmt.Errorf("read the nodes' fences: %w", err)
	}
	return d, d.readImport()
}

func (d *Directory) readImport() error {
	note, err := d.Replica.Note(noteImport)
	if err != nil || note == nil {
		return err
	}
	if len(note) < 8 {
		return fmt.Errorf("read who has brought data in: %w", store.ErrCorrupt)
	}
	d.imported, err = decodeImport(note[8:])
	d.imported.Seq = binary.BigEndian.Uint64(note)
	return err
}

// position is how far the store is. It is zero for an empty one.
func position(s store.Replica) (uint64, error) {
	note, err := s.Note(notePosition)
	if err != nil {
		return 0, err
	}
	if note == nil {
		empty, err := isEmpty(s)
		if err == nil && !empty {
			err = ErrAlone
		}
		return 0, err
	}
	if len(note) != 8 {
		return 0, fmt.Errorf("read the position in the log: %w", store.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(note), nil
}

func notePositionOp(seq uint64) store.Op {
	return store.Op{
		Kind: store.OpPutNote, Note: notePosition, Doc: binary.BigEndian.AppendUint64(nil, seq),
	}
}

// isEmpty says whether there is nothing in a store.
func isEmpty(s store.Replica) (bool, error) {
	found := errors.New("found")
	err := s.EachGuild(func(uint64) error { return found })
	if err == nil {
		err = s.EachUser(func(*store.User) error { return found })
	}
	if errors.Is(err, found) {
		return false, nil
	}
	return err == nil, err
}

func guildNote(guild uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(noteGuild), guild))
}

// guildIncarnation is zero for a guild that is not there.
func guildIncarnation(s store.Replica, guild uint64) (uint64, error) {
	note, err := s.Note(guildNote(guild))
	if err != nil || note == nil {
		return 0, err
	}
	if len(note) != 8 {
		return 0, fmt.Errorf("read the incarnation of guild %d: %w", guild, store.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(note), nil
}

func guildNoteOp(guild, incarnation uint64) store.Op {
	op := store.Op{Kind: store.OpPutNote, Note: guildNote(guild)}
	if incarnation != 0 {
		op.Doc = binary.BigEndian.AppendUint64(nil, incarnation)
	}
	return op
}

// Start begins to apply what Take is given, and has Apply write to the log. It fails with
// ErrOtherLog when the store has followed one that was another, by its identity.
func (d *Directory) Start(log Log, identity string) error {
	note, err := d.Replica.Note(noteLog)
	switch {
	case err != nil:
		return err
	case note == nil:
		err = d.Replica.Apply([]store.Op{
			{Kind: store.OpPutNote, Note: noteLog, Doc: []byte(identity)},
			notePositionOp(d.Applied()),
		})
		if err != nil {
			return err
		}
	case string(note) != identity:
		return fmt.Errorf("%w: it is %s, and was %s", ErrOtherLog, identity, note)
	}
	d.log = log
	d.running.Go(d.follow)
	return nil
}

// Applied is the sequence up to which the log is applied. A log is to be read from behind it.
func (d *Directory) Applied() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.applied
}

// Failing is why the store does not take what is next, nil when it does.
func (d *Directory) Failing() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failing
}

// Wait waits until the sequence is applied. While the store takes nothing it fails at once.
func (d *Directory) Wait(ctx context.Context, seq uint64) error {
	done := make(chan error, 1)
	d.mu.Lock()
	switch {
	case d.ended:
		d.mu.Unlock()
		return store.ErrClosed
	case d.applied >= seq:
		d.mu.Unlock()
		return nil
	case d.failing != nil:
		defer d.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrNotApplied, d.failing)
	}
	d.waiting[done] = seq
	d.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-d.stopped.Done():
		return store.ErrClosed
	case <-ctx.Done():
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.waiting, done)
		return fmt.Errorf("%w: %w", ErrNotApplied, ctx.Err())
	}
}

// wake tells who waits for what is applied now; with an error, everybody. REQUIRES: mu is held.
func (d *Directory) wake(err error) {
	upTo := d.applied
	if err != nil {
		upTo = math.MaxUint64
	}
	for done, seq := range d.waiting {
		if seq <= upTo {
			done <- err
			delete(d.waiting, done)
		}
	}
}

// Close ends the directory and closes its store. The log is closed behind it: it may be waiting in
// Take, which drops what it is given from now on.
func (d *Directory) Close() error {
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	d.stop()
	d.queue.wakeAll()
	d.running.Wait()
	return d.Replica.Close()
}
