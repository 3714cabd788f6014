package replica

import (
	"bytes"
	"math"
	"slices"

	"throng/node/cluster"
	"throng/store"
)

// guildPlan is what a plan makes of a guild.
type guildPlan struct {
	id          uint64
	incarnation uint64
	known       bool // It has a document, as of now.
	put         bool // It gets the one below.
	doc         []byte
	channels    []uint64

	// The guild was deleted: what the store has of it is void, and to be overwritten.
	void bool

	pages []*pagePlan // Ascending. Those that are touched.
	last  *pagePlan   // The one touched last: members come in runs.
}

// pagePlan is what becomes of a page.
type pagePlan struct {
	first, last uint64
	base        []store.MemberRecord           // As it is. Ascending.
	changes     map[uint64]*store.MemberRecord // Nil = no member.
}

func (p *plan) guild(id uint64) (*guildPlan, error) {
	if g := p.guilds[id]; g != nil {
		return g, nil
	}
	incarnation, err := guildIncarnation(p.local, id)
	if err != nil {
		return nil, err
	}
	g := &guildPlan{id: id, incarnation: incarnation, known: incarnation != 0}
	p.guilds[id] = g
	p.order = append(p.order, g)
	return g, nil
}

func (p *plan) addToGuild(g *guildPlan, op *store.Op) error {
	switch op.Kind {
	case store.OpPutGuild:
		return p.putGuild(g, op)
	case store.OpDeleteGuild:
		if g.known {
			g.void, g.incarnation = true, p.applied+1
			g.known, g.put, g.pages, g.last = false, false, nil, nil
		}
		return nil
	case store.OpPutMember:
		if !g.known {
			if p.again {
				return nil
			}
			return store.ErrUnknownGuild
		}
		record := op.Member.Kept()
		return p.setMember(g, record.User, &record)
	}
	if !g.known {
		return nil
	}
	return p.setMember(g, op.User, nil)
}

// putGuild. A guild that is made gets an incarnation that is greater than any it had: those were
// less than the sequence of the message that deleted it, which has been applied.
func (p *plan) putGuild(g *guildPlan, op *store.Op) error {
	if !g.known {
		g.known, g.incarnation = true, p.applied+1
	} else if !g.put && !g.void {
		doc, err := p.local.Guild(g.id)
		if err != nil {
			return err
		}
		channels, err := p.local.GuildChannels(g.id)
		if err != nil {
			return err
		}
		if bytes.Equal(doc, op.Doc) && slices.Equal(channels, op.Channels) {
			return nil
		}
	}
	g.put, g.doc, g.channels = true, op.Doc, op.Channels
	return nil
}

func (p *plan) setMember(g *guildPlan, user uint64, record *store.MemberRecord) error {
	page := g.last
	if page == nil || user < page.first || user > page.last {
		var err error
		if page, err = p.page(g, user); err != nil {
			return err
		}
		g.last = page
	}
	page.changes[user] = record
	return nil
}

// page returns the page that the user falls in.
func (p *plan) page(g *guildPlan, user uint64) (*pagePlan, error) {
	at, there := slices.BinarySearchFunc(g.pages, user, func(page *pagePlan, user uint64) int {
		switch {
		case page.last < user:
			return -1
		case page.first > user:
			return 1
		}
		return 0
	})
	if there {
		return g.pages[at], nil
	}
	page := &pagePlan{last: math.MaxUint64, changes: map[uint64]*store.MemberRecord{}}
	if !g.void {
		var err error
		if page.first, page.last, err = p.local.PageOf(g.id, user); err != nil {
			return nil, err
		}
		page.base = make([]store.MemberRecord, 0, p.limits.pageMembersMax)
		err = p.local.MembersBetween(g.id, page.first, page.last,
			func(m store.MemberRecord) error {
				page.base = append(page.base, m)
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	g.pages = slices.Insert(g.pages, at, page)
	return page, nil
}

// members returns the page's members with the changes, and whether any is one.
func (page *pagePlan) members() (all []store.MemberRecord, changed bool) {
	users := make([]uint64, 0, len(page.changes))
	for user := range page.changes {
		users = append(users, user)
	}
	slices.Sort(users)
	all = make([]store.MemberRecord, 0, len(page.base)+len(users))
	rest := page.base
	for _, user := range users {
		for len(rest) > 0 && rest[0].User < user {
			all, rest = append(all, rest[0]), rest[1:]
		}
		var old *store.MemberRecord
		if len(rest) > 0 && rest[0].User == user {
			old, rest = &rest[0], rest[1:]
		}
		now := page.changes[user]
		changed = changed || !sameMember(old, now)
		if now != nil {
			all = append(all, *now)
		}
	}
	return append(all, rest...), changed
}

func sameMember(a, b *store.MemberRecord) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Member == b.Member && slices.Equal(a.Roles, b.Roles)
}

// finish adds the guild's messages: the document first, so that no batch leaves members without.
func (p *plan) finish(g *guildPlan) error {
	if g.void && !g.known {
		p.units = append(p.units, unit{{
			Subject: documentSubject(g.id), Data: encodeDeletion(g.incarnation),
		}})
	}
	if g.put {
		if err := p.finishDocument(g); err != nil {
			return err
		}
	}
	written := map[string]bool{}
	for _, page := range g.pages {
		members, changed := page.members()
		if !changed {
			continue
		}
		u, err := p.cut(g, nil, &store.Page{
			First: page.first, Last: page.last, Members: members,
		})
		if err != nil {
			return err
		}
		for _, w := range u {
			written[w.Subject] = true
		}
		p.units = append(p.units, u)
	}
	if g.void {
		return p.overwrite(g, written)
	}
	return nil
}

func (p *plan) finishDocument(g *guildPlan) error {
	parts, last := encodeDocument(g.incarnation, g.doc, g.channels, p.limits.partBytesMax)
	var u unit
	for i, part := range parts {
		u = append(u, cluster.Write{Subject: partSubject(g.id, i+1), Data: part})
	}
	before, err := p.partsBefore(g)
	if err != nil {
		return err
	}
	for i := len(parts) + 1; i < before; i++ {
		u = append(u, cluster.Write{Subject: partSubject(g.id, i), Data: empty()})
	}
	p.units = append(p.units, append(u, cluster.Write{Subject: documentSubject(g.id), Data: last}))
	return nil
}

// partsBefore is how many parts the guild's document has that the store has.
func (p *plan) partsBefore(g *guildPlan) (int, error) {
	doc, err := p.local.Guild(g.id)
	if err != nil || doc == nil {
		return 0, err
	}
	channels, err := p.local.GuildChannels(g.id)
	return partCount(len(documentBytes(doc, channels)), p.limits.partBytesMax), err
}

// cut appends the messages of a page, which are several when it is too full. How they come is the
// order of the users, and the first of them has the page's own subject.
//
// Pages are left three quarters full. With full ones the next members who come would split all of
// them again; with half full ones there would be a third more pages.
func (p *plan) cut(g *guildPlan, u unit, page *store.Page) (unit, error) {
	most := p.limits.pageMembersMax
	count := len(page.Members)
	if count <= most {
		data := encodePage(g.incarnation, page)
		if count <= 1 || len(data) <= p.limits.pageBytesMax {
			name := pageSubject(g.id, page.First)
			return append(u, cluster.Write{Subject: name, Data: data}), p.fits(name, data)
		}
	}
	pieces := max(2, (count+most*3/4-1)/max(most*3/4, 1))
	first := page.First
	for i := range pieces {
		from, to := count*i/pieces, count*(i+1)/pieces
		if from == to {
			continue
		}
		last := page.Last
		if to < count {
			last = page.Members[to].User - 1
		}
		var err error
		u, err = p.cut(g, u, &store.Page{
			First: first, Last: last, Members: page.Members[from:to],
		})
		if err != nil {
			return nil, err
		}
		first = last + 1
	}
	return u, nil
}

// overwrite leaves as little as possible of a guild that is deleted: pages and parts stay in the
// log for ever, and those of a guild of a million are 20 MB.
func (p *plan) overwrite(g *guildPlan, written map[string]bool) error {
	for user, more := uint64(0), true; more; {
		first, last, err := p.local.PageOf(g.id, user)
		if err != nil {
			return err
		}
		if name := pageSubject(g.id, first); !written[name] {
			p.units = append(p.units, unit{{Subject: name, Data: empty()}})
		}
		user, more = last+1, last != math.MaxUint64
	}
	if g.put {
		return nil // Its document has overwritten the parts.
	}
	parts, err := p.partsBefore(g)
	for i := 1; i < parts; i++ {
		p.units = append(p.units, unit{{Subject: partSubject(g.id, i), Data: empty()}})
	}
	return err
}
