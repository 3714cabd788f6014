package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"throng/fanout"
	"throng/node/api"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// Node is what the doors of package api ask.
var _ api.Node = (*Node)(nil)

// busyRetry is when whoever found an inbox full may come again.
const busyRetry = time.Second

// refusal puts an owner's error in the doors' terms.
func refusal(err error) error {
	var refused *fanout.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return guildRefusal(refused)
	case logAway(err):
		return api.Unavailable(busyRetry,
			"The cluster's log does not answer; it may or may not have taken the change.")
	case errors.Is(err, errElsewhere):
		return api.Moved
	case errors.Is(err, errGuildBusy), errors.Is(err, errGuildBehind):
		return api.Busy(busyRetry, "%v", err)
	case errors.Is(err, store.ErrClosed):
		return api.Unavailable(0, "The node is ending.")
	}
	return err
}

var refusalStatus = [...]int{
	fanout.Invalid: http.StatusBadRequest, fanout.NotFound: http.StatusNotFound,
	fanout.Forbidden: http.StatusForbidden, fanout.Conflict: http.StatusConflict,
}

func guildRefusal(e *fanout.Error) error {
	return &api.Error{Status: refusalStatus[e.Kind], Field: e.Field, Message: e.Reason}
}

// work gives a guild a request that makes a change and waits until that is durable. A shard that
// is behind refuses, rather than queue out of sight.
func (n *Node) work(ctx context.Context, guild wire.Snowflake, what messageKind,
	run func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error)) error {
	m := &guildWork{guildCall{guild}, callerOf(ctx), what, run, make(chan error, 1)}
	if !n.hand(m) {
		return errBehind
	}
	return m.by.await(m.reply)
}

// shortRetry is when whoever was refused for want of memory may come again.
const shortRetry = 5 * time.Second

// roomForState refuses what would be kept in memory from now on, while that is short.
func (n *Node) roomForState() error {
	if n.core.pressure() < tuning.PressureTrim {
		return nil
	}
	return api.Unavailable(shortRetry, shortOfMemory)
}

// errBehind is for who finds a shard, or the store, behind.
var errBehind = api.Busy(busyRetry, "The guild's shard, or the store, has too much to do.")

// hand gives a guild a request, unless its shard or the disk is behind. A disk that is slow holds
// back who writes to it, here: the shard itself never waits for it.
func (n *Node) hand(m *guildWork) bool {
	return !n.core.keepFull() && n.core.shardOf(m.id()).inbox.tryPush(m)
}

// look gives a guild a request that only reads.
func (n *Node) look(ctx context.Context, guild wire.Snowflake,
	run func(g *fanout.Guild, now int64) error) error {
	m := &guildLook{guildCall{guild}, callerOf(ctx), run, make(chan error, 1)}
	if !n.core.shardOf(guild).inbox.tryPush(m) {
		return api.Busy(busyRetry, "The guild's shard has too much to do.")
	}
	return m.by.await(m.reply)
}

func (n *Node) await(ctx context.Context, reply chan error) error {
	select {
	case err := <-reply:
		return refusal(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keep writes ops and waits until they are durable.
func (n *Node) keep(ctx context.Context, ops []store.Op) error {
	if len(ops) == 0 {
		return nil
	}
	if n.core.keepFull() {
		return errBehind
	}
	reply := make(chan error, 1)
	n.core.keep(ops, func(err error) { reply <- err })
	return n.await(ctx, reply)
}

// PutUsers creates or replaces users. Who sees a name or picture change is told; see renames.
func (n *Node) PutUsers(ctx context.Context, users []api.UserInput) ([]error, error) {
	if err := n.roomForState(); err != nil {
		return nil, err
	}
	if err := n.roomForUsers(ctx); err != nil {
		return nil, err
	}
	var ops []store.Op
	errs := make([]error, len(users))
	made := make([]*store.User, 0, len(users))
	for i, u := range users {
		record, err := fanout.ParseUser(u.ID, u.Doc)
		if err != nil {
			errs[i] = refusal(err)
			continue
		}
		if u.Token != "" {
			if errs[i] = n.tokenFree(u.Token, u.ID); errs[i] != nil {
				continue
			}
			ops = append(ops, store.Op{Kind: store.OpPutToken, User: uint64(u.ID), Token: u.Token})
		}
		ops = append(ops, store.Op{Kind: store.OpPutUser, User: record.ID, UserRecord: record})
		made = append(made, record)
	}
	if len(ops) == 0 {
		return errs, nil
	}
	if n.core.keepFull() {
		return nil, errBehind
	}
	reply := make(chan error, 1)
	n.core.keep(ops, func(err error) {
		// Here, and not when the caller hears of it: it may have gone, and of two that replace a
		// user the last has to be the last in the table too.
		if err == nil && !n.core.mesh.many() {
			n.core.usersReplaced(made)
		}
		reply <- err
	})
	return errs, n.await(ctx, reply)
}

// tokenFree says whether a token may become the user's.
func (n *Node) tokenFree(token string, user wire.Snowflake) error {
	owner, err := n.core.dir.TokenUser(token)
	if err == nil && owner != 0 && owner != uint64(user) {
		err = api.Conflict("token", "The token is another user's.")
	}
	return err
}

// PutToken registers a token.
func (n *Node) PutToken(ctx context.Context, user wire.Snowflake, token string) error {
	if err := n.knows(user); err != nil {
		return err
	}
	if err := n.tokenFree(token, user); err != nil {
		return err
	}
	op := store.Op{Kind: store.OpPutToken, User: uint64(user), Token: token}
	return n.keep(ctx, []store.Op{op})
}

// RevokeTokens forgets a user's tokens. Sessions that were made with them stay.
func (n *Node) RevokeTokens(ctx context.Context, user wire.Snowflake) error {
	if err := n.knows(user); err != nil {
		return err
	}
	return n.keep(ctx, []store.Op{{Kind: store.OpRevokeTokens, User: uint64(user)}})
}

// knows refuses a user that is not there.
func (n *Node) knows(user wire.Snowflake) error {
	u, err := n.core.user(user)
	if err == nil && u == nil {
		err = api.UnknownUser
	}
	return err
}

// PutGuild creates or replaces a guild.
func (n *Node) PutGuild(ctx context.Context, guild wire.Snowflake, doc []byte) error {
	if err := n.roomForState(); err != nil {
		return err
	}
	if err := n.channelsFree(guild, doc); err != nil {
		return err
	}
	return n.work(ctx, guild, kindProvision,
		func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error) {
			made := g == nil
			if made {
				g = s.core.newGuild(guild)
			}
			change, err := g.Replace(doc, now)
			if err != nil {
				return g, change, err
			}
			if made {
				s.adopt(g)
			}
			s.listChannels(g)
			return g, change, nil
		})
}

// channelsFree refuses a guild that has another's channel or thread: routes that name a channel
// alone would find whichever was put last.
func (n *Node) channelsFree(guild wire.Snowflake, doc []byte) (err error) {
	for _, key := range []string{"channels", "threads"} {
		list, _ := wire.Field(doc, key)
		i := 0
		wire.EachElement(list, func(raw []byte) bool {
			if id, ok := wire.SnowflakeField(raw, "id"); ok {
				err = n.channelFree(guild, id, fmt.Sprintf("%s[%d].id", key, i))
			}
			i++
			return err == nil
		})
	}
	return err
}

func (n *Node) channelFree(guild, channel wire.Snowflake, field string) error {
	owner, err := n.guildOf(channel)
	switch {
	case errors.Is(err, api.UnknownChannel) || err == nil && owner == guild:
		return nil
	case err != nil:
		return err
	}
	return api.Conflict(field, "Channel %s is guild %s's.", channel, owner)
}

// DeleteGuild removes a guild; its sessions are told.
func (n *Node) DeleteGuild(ctx context.Context, guild wire.Snowflake) error {
	return n.change(ctx, guild, func(s *shard, g *fanout.Guild, now int64) (fanout.Change, error) {
		s.core.members.Add(-int64(g.Info().MemberCount))
		change := g.Delete(now)
		s.forget(g)
		return change, nil
	})
}

// change is work on a guild that has to be there.
func (n *Node) change(ctx context.Context, guild wire.Snowflake,
	run func(s *shard, g *fanout.Guild, now int64) (fanout.Change, error)) error {
	m := changeOf(ctx, guild, run)
	if !n.hand(m) {
		return errBehind
	}
	return m.by.await(m.reply)
}

func changeOf(ctx context.Context, guild wire.Snowflake,
	run func(s *shard, g *fanout.Guild, now int64) (fanout.Change, error)) *guildWork {
	change := func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error) {
		if g == nil {
			return nil, fanout.Change{}, api.UnknownGuild
		}
		change, err := run(s, g, now)
		return g, change, err
	}
	return &guildWork{guildCall{guild}, callerOf(ctx), kindProvision, change,
		make(chan error, 1)}
}

// RemoveMember removes one member; the guild and the user are told.
func (n *Node) RemoveMember(ctx context.Context, guild, user wire.Snowflake) error {
	return n.change(ctx, guild, func(s *shard, g *fanout.Guild, now int64) (fanout.Change, error) {
		change, err := g.RemoveMember(user, now)
		if err == nil {
			s.core.members.Add(-1)
		}
		return change, err
	})
}

// Publish gives events to a guild, in order.
func (n *Node) Publish(ctx context.Context, guild wire.Snowflake, events []api.EventInput) (
	index uint64, rejected []error, err error) {
	rejected = make([]error, len(events))
	most := int(n.bodyMax(int64(n.cfg.Journal)))
	traced, asked := n.publishing(ctx), nanos()
	for i, e := range events {
		switch e.Type {
		case "CHANNEL_CREATE", "THREAD_CREATE":
			if id, ok := wire.SnowflakeField(e.Data, "id"); ok {
				rejected[i] = n.channelFree(guild, id, "d.id")
			}
		case "GUILD_MEMBER_ADD":
			if err := n.meet(e.Data); err != nil {
				return 0, nil, err
			}
		}
	}
	err = n.work(ctx, guild, kindPublish,
		func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error) {
			if g == nil {
				return nil, fanout.Change{}, api.UnknownGuild
			}
			if s.behind(g) {
				return nil, fanout.Change{}, errGuildBehind
			}
			traced.take()
			var all fanout.Change
			before := g.Info().MemberCount
			for i, e := range events {
				if rejected[i] != nil {
					continue
				}
				if len(e.Data) > most {
					rejected[i] = &api.Error{Status: http.StatusRequestEntityTooLarge, Field: "d",
						Message: "The event is larger than -journal allows."}
					continue
				}
				change, err := g.Publish(e.Type, e.Data, now)
				if err != nil {
					rejected[i] = refusal(err)
					continue
				}
				s.core.events.add(e.Type)
				end := traced.mark(g, e.Type, &change, s.dials.tracePermille)
				s.timed.mark(asked, &change)
				s.emit(g, &change)
				end()
				merge(&all, change)
			}
			index = g.Info().EventIndex
			s.core.members.Add(int64(g.Info().MemberCount - before))
			if slices.ContainsFunc(all.Ops, isDocument) {
				s.listChannels(g)
			}
			return g, all, nil
		})
	return index, rejected, err
}

// meet reads the user of a new member from the directory, so that neither shard nor loop waits for
// the disk.
func (n *Node) meet(member []byte) error {
	id, ok := wire.SnowflakeField(member, "user_id")
	if user, there := wire.Field(member, "user"); there {
		id, ok = wire.SnowflakeField(user, "id")
	}
	if !ok {
		return nil
	}
	_, err := n.core.user(id)
	return err
}

// PublishUser gives events to all live sessions of a user, here and on other nodes; see userCalls.
// Events that are no guild's go to the session of shard 0 only, as the protocol says.
func (n *Node) PublishUser(ctx context.Context, user wire.Snowflake, events []api.EventInput) (
	sessions int, rejected []error, err error) {
	var dispatches []*wire.Dispatch
	rejected = make([]error, len(events))
	for i, e := range events {
		if len(e.Data) > int(n.bodyMax(int64(n.cfg.Journal))) {
			rejected[i] = &api.Error{Status: http.StatusRequestEntityTooLarge, Field: "d",
				Message: "The event is larger than -journal allows."}
			continue
		}
		dispatches = append(dispatches, wire.NewDispatch(e.Type, e.Data, nil))
	}
	live := n.core.sessionsOf(user)
	if len(live) == 0 {
		if err := n.knows(user); err != nil {
			return 0, nil, err
		}
	}
	for _, d := range dispatches {
		n.core.events.add(d.Name())
	}
	// All of the user's sessions get the events or none does: whoever is told to come again would
	// otherwise bring them twice to some.
	for _, h := range live {
		if n.core.loops[h.Loop].inbox.full() {
			return 0, nil, api.Busy(busyRetry, "The session's loop has too much to do.")
		}
	}
	for _, h := range live {
		n.core.loops[h.Loop].inbox.push(&userEvents{h, dispatches})
	}
	return len(live) + n.core.mesh.tellNodes(ctx, user, dispatches), rejected, nil
}

// userEvents are events for one session because of its user.
type userEvents struct {
	to         fanout.Handle
	dispatches []*wire.Dispatch
}

func (m *userEvents) kind() messageKind { return kindPublish }

func (m *userEvents) do(l *loop) {
	s := l.session(m.to)
	if s == nil {
		return
	}
	for _, d := range m.dispatches {
		info, known := wire.LookupEvent(d.Name())
		guild, inGuild := wire.SnowflakeField(d.Body(), "guild_id")
		switch {
		case inGuild && !s.of(guild):
		case !inGuild && s.shard[0] != 0:
		case known && !inGuild && info.Direct != 0 && s.intents&info.Direct == 0:
		case known && inGuild && info.Guild != 0 && s.intents&info.Guild == 0:
		default:
			l.sendPrivate(m.to, []*wire.Dispatch{d})
		}
	}
}
