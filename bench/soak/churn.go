package main

import (
	"context"
	"fmt"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	// A half of the sessions stays, and is cut and resumes; the others leave, and come anew.
	shares     = 2
	visitors   = 200 // members who come and go without a session
	events     = 20
	eventBytes = 300
	backLimit  = 2 * time.Minute
)

// churn is what comes and goes at a node.
type churn struct {
	// Static after construction.
	node     *server.Throng
	sessions int

	staying, leaving crowd.Crowd
	rounds           int
}

// begin makes everybody, and has them join.
func (c *churn) begin(ctx context.Context) error {
	if err := c.node.PutGuild(ctx, guild, 20); err != nil {
		return err
	}
	for _, g := range []crowd.Group{c.stayers(), c.leavers()} {
		if err := g.Provision(ctx, c.node, guild); err != nil {
			return err
		}
	}
	if err := c.staying.Join(ctx, c.node, c.stayers()); err != nil {
		return err
	}
	return c.leaving.Join(ctx, c.node, c.leavers())
}

func (c *churn) stayers() crowd.Group {
	return crowd.Group{Name: "stay", Connections: c.sessions / shares}
}

func (c *churn) leavers() crowd.Group {
	return crowd.Group{Name: "leave", First: c.sessions / shares,
		Connections: c.sessions - c.sessions/shares}
}

func (c *churn) stop() {
	c.staying.Stop()
	c.leaving.Stop()
}

// round has all of it come and go once.
func (c *churn) round(ctx context.Context) error {
	c.rounds++
	c.staying.Cut()
	c.leaving.Stop()
	if err := c.publish(ctx); err != nil {
		return err
	}
	c.staying.Return()
	if err := c.leaving.Join(ctx, c.node, c.leavers()); err != nil {
		return err
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	if err := c.talk(); err != nil {
		return err
	}
	if err := c.publish(ctx); err != nil {
		return err
	}
	return c.guests(ctx)
}

// settle waits until everybody is there.
func (c *churn) settle(ctx context.Context) error {
	return trial.Until(ctx, backLimit, "everybody's return", func() (bool, error) {
		if c.staying.Live()+c.leaving.Live() < c.sessions {
			return false, c.node.Alive()
		}
		m, err := c.node.Metrics(ctx)
		// Those of the sessions that left for good have been forgotten too.
		return err == nil && m[`throng_sessions{state="live"}`] == float64(c.sessions) &&
			m[`throng_sessions{state="detached"}`] == 0, err
	})
}

func (c *churn) publish(ctx context.Context) error {
	return c.node.Publish(ctx, guild, crowd.Events(guild, eventBytes, events))
}

// talk has some say what clients say.
func (c *churn) talk() error {
	const some = 50
	from := c.rounds * some % (c.sessions/shares - some)
	for _, text := range []string{
		`{"op":3,"d":{"since":null,"activities":[],"status":"idle","afk":false}}`,
		fmt.Sprintf(`{"op":8,"d":{"guild_id":"%d","query":"u","limit":50}}`, server.GuildID(guild)),
		fmt.Sprintf(`{"op":4,"d":{"guild_id":"%d","channel_id":null,"self_mute":false,`+
			`"self_deaf":false}}`, server.GuildID(guild)),
	} {
		err := c.staying.Command(from, from+some, func(int) string { return text })
		if err != nil {
			return err
		}
	}
	return nil
}

// guests makes a guild and members, and takes them away again.
func (c *churn) guests(ctx context.Context) error {
	const other = guild + 1
	if err := c.node.PutGuild(ctx, other, 5); err != nil {
		return err
	}
	if err := c.node.PutMembers(ctx, other, 0, visitors); err != nil {
		return err
	}
	err := c.node.Publish(ctx, other, crowd.Events(other, eventBytes, events))
	if err != nil {
		return err
	}
	return c.node.DeleteGuild(ctx, other)
}
