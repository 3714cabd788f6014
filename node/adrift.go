package node

import "throng/wire"

// A link whose owner is lost begins anew, which is far more than a look at it: its sessions ask
// again, its guild is claimed and read, and all that it is goes to each of them. As fast as shards
// can let go, 100,000 links kept a machine busy for nine seconds, and events of all other guilds
// stood in line with them. So a shard begins relinksMax of them between two ticks, and the others
// wait adrift, without an owner.
//
// Whatever is asked of a guild that is adrift has it begin anew first: by a session, by a backend,
// or by another node that claims it or wants to be in it. So a guild in which something happens is
// back as soon as if it were the only one, and on all nodes, since who needs it first claims it of
// the others; those that wait are the ones where nothing is said meanwhile.
//
// To have sessions wait with what they ask, in place of links, is what was rejected: a guild of
// 18,000 sessions, which is read once, would take as long as 18,000 guilds.
//
// Invariant: a guild in adrift has a link without an owner that is not in unlinked.

// lostOwner follows the loss of a link's owner.
func (s *shard) lostOwner(id wire.Snowflake, p *place) {
	k := p.link
	s.wantTick(1)
	if s.relinked < s.core.limits.relinksMax || len(k.forwards)+len(k.ahead)+len(k.asks) > 0 {
		s.relinked++
		s.relink(id, p)
		return
	}
	k.to = nil
	s.adrift[id] = struct{}{}
	s.adriftLine = append(s.adriftLine, id)
}

// anew has a guild begin anew that is adrift.
func (s *shard) anew(id wire.Snowflake) {
	if _, adrift := s.adrift[id]; adrift {
		s.relinked++
		s.relink(id, s.guilds[id])
	}
}

// tickAdrift has some of those begin anew whose turn it is, or none when so many did before theirs.
// They wait on while many guilds wait for their owners: that may last until there is a view.
func (s *shard) tickAdrift() {
	most := s.core.limits.relinksMax
	s.relinked = min(max(s.relinked-most, 0), most)
	for len(s.adriftLine) > 0 && s.relinked < most &&
		len(s.claims)+len(s.unlinked)+len(s.unread) < relinksAhead*most {
		id := s.adriftLine[0]
		s.adriftLine = s.adriftLine[1:]
		s.anew(id)
	}
	if len(s.adriftLine) == 0 {
		s.adriftLine = nil
	}
	if s.relinked+len(s.adriftLine) > 0 {
		s.wantTick(1)
	}
}

// relinksAhead times relinksMax guilds may wait for their owners.
const relinksAhead = 4
