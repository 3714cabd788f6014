package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"throng/tuning"
)

// Speed is how many deliveries a second the node at these addresses makes to clients of this
// process, looked at for so long. It makes a guild on the node that stays there.
//
// Each event is handed in when the last one has come to everybody, so each delivery is a write of
// its own: what many guilds cost in which little goes on. What is published in batches, or faster
// than it is written, leaves by several in a write and costs a fraction.
func Speed(ctx context.Context, gateway, admin string, span time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, span+speedPatience)
	defer cancel()
	r, err := newRun(ctx, Config{URL: gateway, Admin: admin, Provision: true,
		Connections: tuning.SelfTestConnections}, nil)
	if err != nil {
		return 0, err
	}
	if err := r.provision(ctx); err != nil {
		return 0, err
	}
	f, err := r.fleet(ctx)
	if err != nil {
		return 0, err
	}
	defer f.Stop()
	author, door := newAuthor(r, 0), r.adminDoor()
	began, first := time.Now(), f.Received()
	wanted := first
	for time.Since(began) < span {
		guild, k := author.choose()
		event := r.event(author, guild, k, time.Now().UnixNano())
		taken, err := door.publish(ctx, guild, [][]byte{event})
		if err != nil {
			return 0, err
		}
		wanted += uint64(taken.accepted * tuning.SelfTestConnections)
		for f.Received() < wanted {
			if !sleepUntil(ctx, time.Now().Add(speedPause)) || f.Err() != nil {
				return 0, fmt.Errorf("%d of %d deliveries came: %w", f.Received()-first,
					wanted-first, errors.Join(ctx.Err(), f.Err()))
			}
		}
	}
	return float64(wanted-first) / time.Since(began).Seconds(), nil
}

const (
	// speedPatience is for what comes before and after: a guild, its connections, a busy machine.
	speedPatience = 20 * time.Second
	// speedPause between two looks at what has come is a twentieth of what an event takes.
	speedPause = 100 * time.Microsecond
)
