package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"throng/wire"
)

// centrifuge speaks the JSON protocol of Centrifugo and of the centrifuge library: commands and
// replies by the line, an empty object for a ping and for its answer.
type centrifuge struct {
	// Static after construction.
	config *Config
	rooms  *rooms
}

var (
	centrifugePush  = []byte(`{"push":`)
	centrifugePub   = []byte(`"pub":`)
	centrifugeReply = []byte(`{"id":`)
	centrifugeError = []byte(`"error":`)
	centrifugePing  = []byte(`{}`)
)

func (f *centrifuge) path(given string) string { return given }

func (f *centrifuge) opened(l *loop, c *conn) {
	c.askedNano = l.clock()
	l.send(c, wire.OpcodeText, f.connect(l.id(c)))
}

// connect is the first command. A token pattern is only used when one was given.
func (f *centrifuge) connect(id int) []byte {
	b := []byte(`{"id":1,"connect":{`)
	if f.config.Token != "" {
		b = append(b, `"token":`...)
		b = wire.AppendString(b, fillToken(f.config.Token, id))
	}
	return append(b, "}}"...)
}

func (f *centrifuge) message(l *loop, c *conn, payload []byte) {
	generation := c.generation
	for len(payload) > 0 && c.generation == generation {
		line, rest, _ := bytes.Cut(payload, []byte("\n"))
		payload = rest
		f.line(l, c, line)
	}
}

func (f *centrifuge) line(l *loop, c *conn, line []byte) {
	switch {
	case bytes.HasPrefix(line, centrifugePush):
		if !bytes.Contains(line, centrifugePub) {
			return
		}
		l.stats.Dispatches++
		if mark := l.mark.find(line); mark != 0 {
			l.delivered(c, mark)
		}
	case bytes.Equal(line, centrifugePing):
		l.send(c, wire.OpcodeText, centrifugePing)
	case bytes.HasPrefix(line, centrifugeReply):
		f.reply(l, c, line)
	}
}

// reply takes the answer to connect and then those to subscribe.
func (f *centrifuge) reply(l *loop, c *conn, line []byte) {
	if bytes.Contains(line, centrifugeError) {
		l.lost(c, "refused")
		return
	}
	if c.has(flagGreeted) {
		if c.awaiting--; c.awaiting == 0 {
			f.welcome(l, c)
		}
		return
	}
	c.flags |= flagGreeted
	names := f.rooms.names(l.id(c))
	if c.awaiting = uint32(len(names)); c.awaiting == 0 {
		f.welcome(l, c)
		return
	}
	var b []byte
	for i, name := range names {
		if i > 0 {
			b = append(b, '\n')
		}
		b = fmt.Appendf(b, `{"id":%d,"subscribe":{"channel":`, i+2)
		b = append(wire.AppendString(b, name), "}}"...)
	}
	l.send(c, wire.OpcodeText, b)
}

func (f *centrifuge) welcome(l *loop, c *conn) {
	l.stats.Ready++
	l.stats.record(measureIdentify, l.now-c.askedNano)
	l.ready(c)
}

func (f *centrifuge) beat(*loop, *conn) {}

func (f *centrifuge) door(r *run) (door, error) {
	if f.config.PublishURL != "" {
		return &centrifugeAPI{f.config, f.rooms, r.http}, nil
	}
	s, err := dialSocket(r, func(payload []byte) ([]byte, int, error) {
		replies, pings := 0, []byte(nil)
		for line := range bytes.SplitSeq(payload, []byte("\n")) {
			switch {
			case bytes.Equal(line, centrifugePing):
				pings = centrifugePing
			case bytes.HasPrefix(line, centrifugeReply):
				replies++
				if bytes.Contains(line, centrifugeError) {
					return nil, 0, errors.New("centrifuge: " + string(line))
				}
			}
		}
		return pings, replies, nil
	})
	if err != nil {
		return nil, err
	}
	d := &centrifugeDoor{rooms: f.rooms, socket: s, id: 1}
	if err = s.send(wire.OpcodeText, f.connect(0)); err == nil {
		err = s.await(r.ctx, 1)
	}
	return d, err
}

// centrifugeDoor publishes over a connection of its own.
type centrifugeDoor struct {
	*socket
	rooms *rooms
	id    int
}

func (d *centrifugeDoor) publish(ctx context.Context, guild int, events [][]byte) (answer, error) {
	var b []byte
	for i, event := range events {
		if i > 0 {
			b = append(b, '\n')
		}
		d.id++
		b = append(b, `{"id":`...)
		b = strconv.AppendInt(b, int64(d.id), 10)
		b = append(b, `,"publish":{"channel":`...)
		b = wire.AppendString(b, d.rooms.name(guild))
		b = append(b, `,"data":`...)
		b = append(append(b, event...), "}}"...)
	}
	if err := d.send(wire.OpcodeText, b); err != nil {
		return answer{}, err
	}
	if err := d.await(ctx, len(events)); err != nil {
		return answer{}, err
	}
	return answer{accepted: len(events)}, nil
}

// centrifugeAPI publishes by HTTP.
type centrifugeAPI struct {
	config *Config
	rooms  *rooms
	http   *http.Client
}

func (d *centrifugeAPI) publish(ctx context.Context, guild int, events [][]byte) (answer, error) {
	for i, event := range events {
		body, err := json.Marshal(map[string]any{
			"channel": d.rooms.name(guild), "data": json.RawMessage(event)})
		if err != nil {
			return answer{accepted: i}, err
		}
		headers := http.Header{"X-Api-Key": {d.config.PublishAPIKey}}
		status, reply, err := post(ctx, d.http, "POST", d.config.PublishURL, body, headers)
		if err == nil && (status != http.StatusOK || bytes.Contains(reply, centrifugeError)) {
			err = fmt.Errorf("publish: %d %s", status, reply)
		}
		if err != nil {
			return answer{accepted: i}, err
		}
	}
	return answer{accepted: len(events)}, nil
}

func (d *centrifugeAPI) close() {}
