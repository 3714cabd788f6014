package node

import (
	"runtime"

	"throng/fanout"
)

// listsOn has a worker begin the build of member lists that a change has made due, if there is one.
// See fanout/memberlist_build.go.
func (s *shard) listsOn(g *fanout.Guild) {
	if p := s.guilds[g.ID()]; p == nil || p.guild != g {
		return
	}
	build := g.ListBuild(s.core.wall())
	if build == nil {
		return
	}
	m := &listsBuilt{guildCall: guildCall{g.ID()}, of: g, build: build}
	begun := s.core.submit(kindJobLists, func() {
		defer func() { s.inbox.push(m) }()
		build.Run(runtime.Gosched)
		m.ok = true
	})
	if !begun {
		s.inbox.push(m)
	}
}

// listsBuilt brings a guild the lists that a worker has built.
type listsBuilt struct {
	guildCall
	of    *fanout.Guild
	build *fanout.ListBuild
	ok    bool
}

func (m *listsBuilt) kind() messageKind { return kindLists }
func (m *listsBuilt) refuse(s *shard, _ error) {
	m.of.ListsFailed(m.build, s.core.wall())
}

func (m *listsBuilt) apply(s *shard, g *fanout.Guild) {
	if g == nil || g != m.of { // It was deleted, and perhaps made anew.
		return
	}
	change := g.Listed(m.build, m.ok, s.core.wall())
	s.emit(g, &change)
}

// goOn has a guild that has done as much as one message may take called again, behind what waits.
func (s *shard) goOn(g *fanout.Guild) {
	p := s.guilds[g.ID()]
	if p == nil || p.guild != g || p.goesOn || !g.Unfinished() {
		return
	}
	p.goesOn = true
	s.inbox.push(&tickGuild{guildCall: guildCall{g.ID()}, goesOn: true})
}
