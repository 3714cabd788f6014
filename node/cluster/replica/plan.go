package replica

import (
	"crypto/sha256"
	"fmt"

	"throng/node/cluster"
	"throng/store"
)

// plan turns ops into the messages that make them true, given what the store has. Of each subject
// there is one message at most: of what a batch writes twice, the log would keep the last only.
//
// The store is asked for guilds, which nobody else writes while this node owns them: what is there
// already is not written. Users and tokens are everybody's, and what the store has of them may be
// old. They are written whatever it has, but for users that are only to be added: users stay, and
// each of those that the store does not have is a batch of its own, which has the user's subject
// for its fence and is stored only if there is no message of it.
type plan struct {
	// Static after construction.
	local   store.Replica
	limits  *limits
	applied uint64 // How far the store is.
	// again: the ops may have been done, by a batch of which it was not known. They could be done
	// at first; if a guild is unknown now, it is they who have deleted it.
	again bool

	adds   []cluster.Write // Users, if they are unknown.
	units  []unit          // In order; of what is overwritten nothing is left.
	at     map[string]int  // Subject of a user or token -> its unit; -1: it is in adds.
	guilds map[uint64]*guildPlan
	order  []*guildPlan
}

// unit is messages that must be in one batch.
type unit []cluster.Write

func newPlan(local store.Replica, limits *limits, applied uint64, again bool) *plan {
	return &plan{
		local: local, limits: limits, applied: applied, again: again,
		at: map[string]int{}, guilds: map[uint64]*guildPlan{},
	}
}

// planOps is the whole of it.
func planOps(p *plan, ops []store.Op) error {
	for i := range ops {
		if err := p.add(&ops[i]); err != nil {
			return fmt.Errorf("op %d of %d: %w", i+1, len(ops), err)
		}
	}
	for _, g := range p.order {
		if err := p.finish(g); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) add(op *store.Op) error {
	switch op.Kind {
	case store.OpPutUser:
		return p.single(userSubject(op.UserRecord.ID), encodeUser(op.UserRecord))
	case store.OpAddUser:
		return p.addUser(op.UserRecord)
	case store.OpPutToken:
		hash := store.TokenHash(op.Token)
		return p.single(tokenSubject(hash), encodeToken(op.User))
	case store.OpPutTokenHash:
		hash := [sha256.Size]byte([]byte(op.Token))
		return p.single(tokenSubject(hash), encodeToken(op.User))
	case store.OpRevokeTokens:
		return p.single(revocationSubject(op.User), empty())
	case store.OpPutGuild, store.OpDeleteGuild, store.OpPutMember, store.OpDeleteMember:
		g, err := p.guild(op.Guild)
		if err != nil {
			return err
		}
		return p.addToGuild(g, op)
	}
	return fmt.Errorf("op of kind %d is no change that a log takes", op.Kind)
}

func (p *plan) addUser(u *store.User) error {
	name := userSubject(u.ID)
	if _, planned := p.at[name]; planned {
		return nil
	}
	if known, err := p.local.User(u.ID); known != nil || err != nil {
		return err
	}
	data := encodeUser(u)
	p.at[name] = -1
	p.adds = append(p.adds, cluster.Write{Subject: name, Data: data})
	return p.fits(name, data)
}

// single adds a message that stands for itself.
func (p *plan) single(subject string, data []byte) error {
	if at, there := p.at[subject]; there && at >= 0 {
		p.units[at] = nil
	}
	p.at[subject] = len(p.units)
	p.units = append(p.units, unit{{Subject: subject, Data: data}})
	return p.fits(subject, data)
}

func (p *plan) fits(subject string, data []byte) error {
	if len(data) <= p.limits.messageBytesMax {
		return nil
	}
	return fmt.Errorf("%s is %d bytes, more than the %d of a message of the log", subject,
		len(data), p.limits.messageBytesMax)
}

// batches cuts the plan into what the log takes at once. All messages of a batch but the last say
// that more follows.
func (p *plan) batches() (all [][]cluster.Write) {
	var batch []cluster.Write
	size := 0
	flush := func() {
		for i := range max(len(batch)-1, 0) {
			batch[i].Data[0] |= flagMore
		}
		if len(batch) > 0 {
			all = append(all, batch)
		}
		batch, size = nil, 0
	}
	for _, u := range p.units {
		bytes := 0
		for _, w := range u {
			bytes += len(w.Data)
		}
		if len(batch)+len(u) > p.limits.batchMessagesMax || size+bytes > p.limits.batchBytesMax {
			flush()
		}
		batch, size = append(batch, u...), size+bytes
	}
	flush()
	return all
}
