package store

// Memory says what a directory in memory takes, but for users that are in the table too, which
// counts them. Any goroutine may ask; who writes waits meanwhile, for some milliseconds.
func (m *memory) Memory(r *Ruler, known *Users) int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	const id = 8
	bytes := r.Map(len(m.users), id+8) + r.Map(len(m.tokens), sizeOf[tokenHash]()+id) +
		r.Map(len(m.userTokens), id+8) + r.Map(len(m.userGuilds), id+8) +
		r.Map(len(m.guilds), id+8) + r.Map(len(m.channels), id+id) + r.Map(len(m.notes), 16+24)
	bytes += drawn(r, m.users, func(u *User) int {
		if known.Get(u.ID) == u {
			return 0
		}
		return userBytes(r, u)
	})
	bytes += drawn(r, m.userTokens, func(set map[tokenHash]struct{}) int {
		return r.Map(len(set), sizeOf[tokenHash]())
	})
	bytes += drawn(r, m.userGuilds, func(set map[uint64]struct{}) int {
		return r.Map(len(set), id)
	})
	return bytes + m.guildBytes(r)
}

// drawn estimates the values of a map by some of them.
func drawn[K comparable, V any](r *Ruler, table map[K]V, size func(V) int) int {
	sizes := make([]int, 0, min(r.Draw, len(table)))
	for _, v := range table {
		if len(sizes) == cap(sizes) {
			break
		}
		sizes = append(sizes, size(v))
	}
	return r.Drawn(len(table), sizes)
}

func userBytes(r *Ruler, u *User) int {
	return r.Heap(sizeOf[User]()) + r.Heap(len(u.Name)) + r.Heap(len(u.GlobalName)) +
		r.Heap(len(u.Doc))
}

// guildsLookedMax is how many guilds are looked at for what they hold, 100 ns each: a few of them
// may have all of the members, so that some drawn at random would tell next to nothing.
const guildsLookedMax = 100_000

// guildBytes is what the guilds take. Members are some of those of large guilds, which are alike.
func (m *memory) guildBytes(r *Ruler) int {
	var sizes []int
	large := 0
	for _, g := range m.guilds {
		if len(sizes) == guildsLookedMax {
			break
		}
		size := r.Heap(sizeOf[memoryGuild]()) + r.Heap(cap(g.doc)) + Slice(r, g.channels) +
			Slice(r, g.pages) + Slice(r, g.members.runs)
		if runs := g.members.runs; len(runs) == 1 {
			size += runBytes(r, runs[0])
		} else if len(runs) > 1 {
			large += r.Sum(len(runs), func(i int) int { return runBytes(r, runs[i]) })
		}
		sizes = append(sizes, size)
	}
	return r.Drawn(len(m.guilds), sizes) + large
}

// runBytes is what a run of records takes: its first member is taken to be like the others.
func runBytes(r *Ruler, run []MemberRecord) int {
	first := &run[0]
	return Slice(r, run) + len(run)*(r.Heap(8*cap(first.Roles))+r.Heap(len(first.Extra)))
}
