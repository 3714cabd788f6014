package replica

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"throng/node/cluster"
	"throng/store"
)

// follow applies what Take is given, until the end.
func (d *Directory) follow() {
	for {
		entries := d.take()
		if entries == nil {
			return
		}
		for !d.apply(entries) {
			select {
			case <-time.After(d.limits.retryPause):
			case <-d.stopped.Done():
				return
			}
		}
	}
}

// apply applies messages in one transaction. When the store does not take them, nothing of what
// comes behind may be taken either, so they are tried again for as long as it lasts.
func (d *Directory) apply(entries []cluster.Entry) bool {
	g := newGroup(d, entries[len(entries)-1].Seq)
	err := g.read(entries)
	// What changes nothing is not worth a flush of the disk: who restarts reads it again.
	if err == nil && len(g.ops) > 0 {
		err = d.Replica.Apply(append(g.ops, notePositionOp(g.seq)))
	}
	if err != nil {
		d.cfg.Log.Error("replica: the store does not take the log", "from", entries[0].Seq,
			"to", g.seq, "error", err)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.failing = err
		d.wake(fmt.Errorf("%w: %w", ErrNotApplied, err))
		return false
	}
	if d.cfg.OnApplied != nil {
		d.cfg.OnApplied(&g.applied)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.applied, d.failing = g.seq, nil
	for node, f := range g.fences {
		d.fences[node] = f
	}
	if g.imported != nil {
		d.imported = *g.imported
	}
	d.wake(nil)
	return true
}

// group is messages that become one transaction.
type group struct {
	d            *Directory
	seq          uint64
	ops          []store.Op
	incarnations map[uint64]uint64            // Of guilds, as of now.
	wiped        map[uint64]bool              // Guilds of which nothing that the store has counts.
	parts        map[uint64]map[uint64][]byte // Of guilds' documents.
	fences       map[string]fence             // That have changed.
	imported     *importState                 // If it has changed.
	applied      Applied
}

func newGroup(d *Directory, seq uint64) *group {
	return &group{
		d: d, seq: seq, incarnations: map[uint64]uint64{},
		wiped: map[uint64]bool{}, parts: map[uint64]map[uint64][]byte{},
		fences: map[string]fence{}, applied: Applied{Seq: seq},
	}
}

// read turns messages into ops. Of each subject the last one is enough.
func (g *group) read(entries []cluster.Entry) error {
	last := make(map[string]int, len(entries))
	for i, e := range entries {
		last[e.Subject] = i
	}
	for i, e := range entries {
		if last[e.Subject] != i {
			continue
		}
		if err := g.one(e); err != nil {
			return fmt.Errorf("message %d of %s: %w", e.Seq, e.Subject, err)
		}
	}
	if len(g.fences) > 0 {
		g.noteFences()
	}
	return nil
}

func (g *group) one(e cluster.Entry) error {
	s, ok := parseSubject(e.Subject)
	if !ok {
		return errSubject
	}
	body, err := open(e.Data)
	if err != nil {
		return err
	}
	switch s.kind {
	case kindUser:
		return g.user(s.id, body)
	case kindToken:
		user, err := decodeToken(body)
		g.ops = append(g.ops, store.Op{Kind: store.OpPutTokenHash, User: user, Token: s.name})
		return err
	case kindRevocation:
		g.ops = append(g.ops, store.Op{Kind: store.OpRevokeTokens, User: s.id})
	case kindDocument:
		return g.document(s.id, body)
	case kindPart:
		if g.parts[s.id] == nil {
			g.parts[s.id] = map[uint64][]byte{}
		}
		g.parts[s.id][s.part] = body
	case kindPage:
		return g.page(s, body)
	case kindNode:
		f, err := decodeNode(body)
		f.Seq = e.Seq
		g.fences[s.name] = f
		return err
	case kindImport:
		s, err := decodeImport(body)
		s.Seq = e.Seq
		g.imported = &s
		g.ops = append(g.ops, store.Op{
			Kind: store.OpPutNote, Note: noteImport,
			Doc: append(binary.BigEndian.AppendUint64(nil, e.Seq), body...),
		})
		return err
	}
	return nil
}

func (g *group) user(id uint64, body []byte) error {
	u, err := store.ParseUser(id, body)
	if err != nil {
		return err
	}
	g.ops = append(g.ops, store.Op{Kind: store.OpPutUser, UserRecord: u})
	if g.d.cfg.OnApplied == nil {
		return nil
	}
	old, err := g.d.Replica.User(id)
	g.applied.Users = append(g.applied.Users, UserPut{Old: old, New: u})
	return err
}

// adopt says whether something of this incarnation of a guild counts. When it is a later one than
// that of what is there, all of that goes.
func (g *group) adopt(guild, incarnation uint64) (bool, error) {
	now, known := g.incarnations[guild]
	if !known {
		var err error
		if now, err = guildIncarnation(g.d.Replica, guild); err != nil {
			return false, err
		}
		g.incarnations[guild] = now
	}
	if incarnation <= now {
		return incarnation == now, nil
	}
	if now != 0 {
		g.wipe(guild)
	}
	g.incarnations[guild] = incarnation
	g.ops = append(g.ops, guildNoteOp(guild, incarnation))
	return true, nil
}

func (g *group) wipe(guild uint64) {
	g.ops = append(g.ops, store.Op{Kind: store.OpDeleteGuild, Guild: guild})
	g.wiped[guild] = true
	g.applied.Deleted = append(g.applied.Deleted, guild)
}

func (g *group) document(guild uint64, body []byte) error {
	doc, err := decodeDocument(body)
	if err != nil {
		return err
	}
	counts, err := g.adopt(guild, doc.incarnation)
	if err != nil || !counts {
		return err
	}
	if doc.parts == 0 {
		// What is in the store is of an earlier incarnation, and gone by now. Nothing that comes
		// will be of one: what a guild gets later is of later ones.
		g.incarnations[guild] = 0
		g.ops = append(g.ops, guildNoteOp(guild, 0))
		return nil
	}
	text, channels, whole := doc.join(g.parts[guild])
	if whole {
		g.ops = append(g.ops, store.Op{
			Kind: store.OpPutGuild, Guild: guild, Doc: text, Channels: channels,
		})
	}
	return nil
}

func (g *group) page(s subject, body []byte) error {
	incarnation, page, err := decodePage(body)
	if err != nil || page == nil {
		return err
	}
	if page.First != s.part {
		return errMessage
	}
	counts, err := g.adopt(s.id, incarnation)
	if err != nil || !counts {
		return err
	}
	g.ops = append(g.ops, store.Op{Kind: store.OpPutPage, Guild: s.id, Page: page})
	if g.d.cfg.OnApplied == nil {
		return nil
	}
	return g.joined(s.id, page)
}

// joined finds who is a member by the page and was none before.
func (g *group) joined(guild uint64, page *store.Page) error {
	var users []uint64
	next := 0
	add := func(upTo int) {
		for ; next < upTo; next++ {
			users = append(users, page.Members[next].User)
		}
	}
	if !g.wiped[guild] {
		err := g.d.Replica.MembersBetween(guild, page.First, page.Last,
			func(old store.MemberRecord) error {
				at, there := slices.BinarySearchFunc(page.Members[next:], old.User, compareUser)
				if add(next + at); there {
					next++
				}
				return nil
			})
		if err != nil {
			return err
		}
	}
	if add(len(page.Members)); len(users) > 0 {
		g.applied.Joined = append(g.applied.Joined, Joined{Guild: guild, Users: users})
	}
	return nil
}

func compareUser(m store.MemberRecord, user uint64) int { return cmp.Compare(m.User, user) }

func (g *group) noteFences() {
	all := map[string]fence{}
	g.d.mu.Lock()
	for node, f := range g.d.fences {
		all[node] = f
	}
	g.d.mu.Unlock()
	for node, f := range g.fences {
		all[node] = f
	}
	g.ops = append(g.ops, store.Op{
		Kind: store.OpPutNote, Note: noteFences, Doc: encodeFences(all),
	})
}
