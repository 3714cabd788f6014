package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/load"
)

const (
	coldName = "cold"
	// coldGuildsPerUser is the mean of the original, and coldChannels a small guild's.
	coldGuildsPerUser = 5
	coldChannels      = 5
	// coldWriters is how many requests fill the store at a time: what a flush of the disk costs is
	// shared by those that wait for it, and the admin door has 16 connections.
	coldWriters = 12
)

// coldFolder is the store that the stampede's node starts on.
func (b *bench) coldFolder() string { return filepath.Join(b.Folder, coldName) }

// fillStore makes the guilds and their members, which only the disk knows when the node has ended:
// guild g has the next of the users in turn, so that each user is in coldGuildsPerUser.
func (b *bench) fillStore(ctx context.Context) error {
	if err := os.MkdirAll(b.coldFolder(), 0o755); err != nil {
		return err
	}
	node, err := server.StartThrong(ctx, b.Program("throng"), "-data", b.coldFolder())
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	if err := node.PutUsers(ctx, coldName, 0, b.fresh); err != nil {
		return err
	}
	members := b.membersPerGuild()
	guilds, failed := make(chan int), make(chan error, coldWriters)
	var writers sync.WaitGroup
	for range coldWriters {
		writers.Go(func() {
			for g := range guilds {
				err := node.PutGuild(ctx, g, coldChannels)
				for from, left := g*members%b.fresh, members; err == nil && left > 0; {
					to := min(from+left, b.fresh)
					err = node.PutMembers(ctx, g, from, to)
					from, left = 0, left-(to-from)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for g := 0; g < b.guilds && err == nil; g++ {
		select {
		case guilds <- g:
		case err = <-failed:
		}
	}
	close(guilds)
	writers.Wait()
	if err == nil && len(failed) > 0 {
		err = <-failed
	}
	b.Note("%d guilds are on the disk", b.guilds)
	return err
}

func (b *bench) membersPerGuild() int {
	return max(b.fresh*coldGuildsPerUser/b.guilds, 1)
}

// stampede lets everybody arrive at once on a node that has just started and has read nothing.
func (b *bench) stampede(ctx context.Context) error {
	node, err := server.StartThrong(ctx, b.Program("throng"), "-data", b.coldFolder())
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	cpu, err := node.CPU()
	if err != nil {
		return err
	}
	before, err := node.ResidentMost()
	if err != nil {
		return err
	}
	var all crowd.Crowd
	defer all.Stop()
	began := time.Now()
	group := crowd.Group{Name: coldName, Connections: b.fresh,
		Clients: load.Config{OpeningMax: b.fresh}}
	if err := all.Join(ctx, node, group); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := node.CPU()
	if err != nil {
		return err
	}
	most, err := node.ResidentMost()
	if err != nil {
		return err
	}
	metrics, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	_, loads := metrics.Handled("loaded")
	seen, reads := all.Take(), loads/float64(b.guilds)
	if want := b.guilds * b.membersPerGuild(); seen.GuildCreates != uint64(want) {
		return fmt.Errorf("%d guilds were shown, want %d", seen.GuildCreates, want)
	}
	b.Samples.Add(coldName+" s", took.Seconds())
	b.Samples.Add(coldName+" p50 ms", seen.Available.P50)
	b.Samples.Add(coldName+" p99 ms", seen.Available.P99)
	b.Samples.Add(coldName+" µs/session", (after-cpu).Seconds()*1e6/float64(b.fresh))
	b.Samples.Add(coldName+" reads/guild", reads)
	b.Samples.Add(coldName+" most MB", float64(most)/1e6)
	b.Samples.Add(coldName+" idle MB", float64(before)/1e6)
	b.Note("%d identified on a cold node in %.2f s, each guild read %.3f times, %d MB at most",
		b.fresh, took.Seconds(), reads, most/1e6)
	return node.Check(ctx)
}

// sayCold says what was found.
func (b *bench) sayCold() {
	r, s := b.Result, b.Samples
	r.Say("On a node that has just started on a store of %s guilds, of which each client is in "+
		"%d, all %s are served after %s s. Each guild is read %s times. The node takes %s MB of "+
		"memory at most, journals among them; before anybody came it took %s MB.",
		report.Number(float64(b.guilds)), coldGuildsPerUser, report.Number(float64(b.fresh)),
		report.Number(s.Median(coldName+" s")), report.Number(s.Median(coldName+" reads/guild")),
		report.Number(s.Median(coldName+" most MB")), report.Number(s.Median(coldName+" idle MB")))
	r.Reach(report.Figure{What: "reads of a guild while 18,000 identify on a cold node",
		Measured: s.Median(coldName + " reads/guild"), Unit: "", Limit: 1})
}
