package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// door is where one publisher hands its events in.
type door interface {
	publish(ctx context.Context, guild int, events [][]byte) (answer, error)
	close()
}

// answer is what became of events that were handed in.
type answer struct{ accepted, refused int }

// adminDoor is the node's backend door.
type adminDoor struct {
	// Static after construction.
	shape   *shape
	client  *http.Client
	base    string
	headers http.Header
}

func (r *run) adminDoor() *adminDoor {
	d := &adminDoor{shape: r.shape, client: r.http, base: strings.TrimSuffix(r.config.Admin, "/")}
	d.headers = http.Header{"Content-Type": {"application/x-ndjson"}}
	if r.config.AdminToken != "" {
		d.headers.Set("Authorization", "Bearer "+r.config.AdminToken)
	}
	return d
}

// replyBytesMax is what is read of an answer.
const replyBytesMax = 1 << 20

// post sends one request and reads the answer, so that its connection can be used again.
func post(ctx context.Context, client *http.Client, method, url string, body []byte,
	headers http.Header) (status int, reply []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header = headers
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	reply, err = io.ReadAll(io.LimitReader(response.Body, replyBytesMax))
	return response.StatusCode, reply, err
}

func (d *adminDoor) publish(ctx context.Context, guild int, events [][]byte) (answer, error) {
	url := fmt.Sprintf("%s/v1/guilds/%s/events", d.base, d.shape.id(kindGuild, guild))
	body := append(bytes.Join(events, []byte("\n")), '\n')
	status, reply, err := post(ctx, d.client, http.MethodPost, url, body, d.headers)
	switch {
	case err != nil:
		return answer{}, err
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		return answer{refused: len(events)}, nil
	case status/100 != 2:
		return answer{}, fmt.Errorf("publish: %d %.200s", status, reply)
	}
	rejected := rejections(reply)
	if rejected.count > 0 {
		err = fmt.Errorf("publish: %s", rejected.first)
	}
	return answer{accepted: len(events) - rejected.count}, err
}

func (d *adminDoor) close() {}

// publisher hands in events one after the other.
type publisher struct {
	// Static after construction.
	run    *run
	index  int
	author *author
	door   door
}

// paced publishes at the rate from start to end. It is an open loop: each event has its time, and
// that one is its mark. Late events go out as fast as they are taken and none is left out, until
// as long again after the end; what could not be handed in by then counts as failed.
func (p *publisher) paced(ctx context.Context, start, end time.Time) {
	c := &p.run.config
	interval := float64(time.Second) / c.Rate
	offset := interval * float64(p.index) / float64(c.Publishers)
	deadline := end.Add(end.Sub(start))
	for n := 0; ; n++ {
		due := start.Add(time.Duration(offset + float64(n)*interval))
		if !due.Before(end) || !sleepUntil(ctx, due) {
			return
		}
		if time.Now().After(deadline) {
			left := int(float64(end.Sub(due))/interval) + 1
			p.run.published(nil, answer{}, left, due, nil)
			return
		}
		guild, k := p.author.choose()
		event := p.run.event(p.author, guild, k, due.UnixNano())
		p.hand(ctx, guild, k, [][]byte{event}, due)
	}
}

// hand hands events of one guild in and counts what became of them.
func (p *publisher) hand(ctx context.Context, guild int, k *kind, events [][]byte, due time.Time) {
	taken, err := p.door.publish(ctx, guild, events)
	if ctx.Err() != nil && err != nil {
		return // It was called off, which is no fault of the server.
	}
	failed := len(events) - taken.accepted - taken.refused
	p.run.published(&delivery{guild, k}, taken, failed, due, err)
}

// sleepUntil reports false when ctx ended first.
func sleepUntil(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// delivery is what an accepted event becomes.
type delivery struct {
	guild int
	kind  *kind
}

// published counts.
func (r *run) published(d *delivery, taken answer, failed int, due time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Published += uint64(taken.accepted)
	r.stats.PublishRefused += uint64(taken.refused)
	r.stats.PublishFailed += uint64(failed)
	if taken.accepted > 0 {
		r.stats.record(measurePublish, int64(time.Since(due)))
		if d.kind.seen {
			receivers := uint64(taken.accepted) * uint64(r.receivers[d.guild])
			r.stats.Expected += receivers
			r.expected += receivers
		}
	}
	if err != nil && r.fault == nil {
		r.fault = err
		fmt.Fprintf(r.progress, "publishing: %v\n", err)
	}
}

// burst publishes all of a burst at once: the events of each guild and kind as one body, as many
// bodies at a time as there are publishers.
func (r *run) burst(ctx context.Context, publishers []*publisher) {
	due := time.Now()
	events := map[delivery][][]byte{}
	var order []delivery
	author := publishers[0].author
	for range r.config.Burst {
		guild, k := author.choose()
		d := delivery{guild, k}
		if events[d] == nil {
			order = append(order, d)
		}
		events[d] = append(events[d], r.event(author, guild, k, due.UnixNano()))
	}
	var all sync.WaitGroup
	share := (len(order) + len(publishers) - 1) / len(publishers)
	for i, part := range slices.Collect(slices.Chunk(order, share)) {
		all.Go(func() {
			for _, d := range part {
				publishers[i].hand(ctx, d.guild, d.kind, events[d], due)
			}
		})
	}
	all.Wait()
}
