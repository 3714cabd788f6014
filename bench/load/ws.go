package load

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"throng/wire"
)

// ws is any server with rooms over WebSocket: given frames are sent after connecting, and what
// comes back is counted.
type ws struct {
	// Static after construction.
	config *Config
	rooms  *rooms
}

func (w *ws) path(given string) string { return given }

func (w *ws) opened(l *loop, c *conn) {
	c.askedNano = l.clock()
	if !w.config.SendAfter {
		w.login(l, c)
	}
}

// login sends the given frames.
func (w *ws) login(l *loop, c *conn) {
	generation := c.generation
	c.flags |= flagGreeted
	for _, frame := range w.config.Send {
		if c.generation != generation {
			return
		}
		l.send(c, wire.OpcodeText, []byte(w.fill(frame, l.id(c))))
	}
	if c.generation != generation {
		return
	}
	l.stats.Ready++
	l.stats.record(measureIdentify, l.now-c.askedNano)
	l.ready(c)
	if w.config.Beat != "" && w.config.Heartbeat > 0 {
		l.later(c, time.Duration(fraction(l.id(c), saltBeat)*float64(w.config.Heartbeat)), taskBeat)
	}
}

// fill puts a connection's number and its first room into a frame.
func (w *ws) fill(frame string, id int) string {
	frame = strings.ReplaceAll(frame, "{i}", strconv.Itoa(id))
	if strings.Contains(frame, "{room}") {
		names := w.rooms.names(id)
		if len(names) == 0 {
			names = []string{""}
		}
		frame = strings.ReplaceAll(frame, "{room}", names[0])
	}
	return frame
}

func (w *ws) message(l *loop, c *conn, payload []byte) {
	if !c.has(flagGreeted) {
		w.login(l, c)
	}
	if w.config.Count != "" && !strings.Contains(string(payload), w.config.Count) {
		return
	}
	l.stats.Dispatches++
	if mark := l.mark.find(payload); mark != 0 {
		l.delivered(c, mark)
	}
}

func (w *ws) beat(l *loop, c *conn) {
	if c.state != stateReady || c.has(flagFrozen) {
		return
	}
	generation := c.generation
	l.stats.Heartbeats++
	l.send(c, wire.OpcodeText, []byte(w.fill(w.config.Beat, l.id(c))))
	if c.generation == generation {
		l.later(c, w.config.Heartbeat, taskBeat)
	}
}

func (w *ws) door(r *run) (door, error) {
	if w.config.PublishURL != "" {
		return &postDoor{client: r.http, url: w.config.PublishURL}, nil
	}
	s, err := dialSocket(r, func([]byte) ([]byte, int, error) { return nil, 0, nil })
	if err != nil {
		return nil, err
	}
	return &wsDoor{config: w.config, rooms: w.rooms, socket: s}, nil
}

// wsDoor is a connection more, which sends frames made of the given one. Nobody acknowledges them.
type wsDoor struct {
	*socket
	config *Config
	rooms  *rooms
}

func (d *wsDoor) publish(_ context.Context, guild int, events [][]byte) (answer, error) {
	for i, event := range events {
		mark := strconv.FormatInt((&marker{}).find(event), 10)
		frame := strings.NewReplacer("{room}", d.rooms.name(guild), "{body}", string(event),
			"{ts}", mark).Replace(d.config.PublishFrame)
		if err := d.send(wire.OpcodeText, []byte(frame)); err != nil {
			return answer{accepted: i}, err
		}
	}
	return answer{accepted: len(events)}, nil
}

// postDoor hands events in by HTTP, one a line.
type postDoor struct {
	client *http.Client
	url    string
}

func (d *postDoor) publish(ctx context.Context, _ int, events [][]byte) (answer, error) {
	body := append(bytes.Join(events, []byte("\n")), '\n')
	status, reply, err := post(ctx, d.client, http.MethodPost, d.url, body, nil)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("publish: %d %.200s", status, reply)
	}
	if err != nil {
		return answer{}, err
	}
	return answer{accepted: len(events)}, nil
}

func (d *postDoor) close() {}

// rooms are the guilds of the shape under the names that rooms have elsewhere.
type rooms struct {
	pattern string
	of      [][]int32 // By user.
}

func newRooms(c *Config, s *shape) *rooms {
	return &rooms{pattern: c.Room, of: s.guildsOf()}
}

func (r *rooms) name(guild int) string {
	return strings.ReplaceAll(r.pattern, "{g}", strconv.Itoa(guild))
}

// names are the rooms of a connection.
func (r *rooms) names(id int) []string {
	var names []string
	for _, g := range r.of[id%len(r.of)] {
		names = append(names, r.name(int(g)))
	}
	return names
}
