package push

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"

	"throng/tuning"
	"throng/wire"
)

// NATS is a sink that publishes batches on a subject and waits for a reply to each, which is the
// acknowledgement. Whether a JetStream stream replies, that has stored the batch, or a subscriber,
// that has handled it, is the operator's choice and nothing that this has to know.
//
// A message for each push would be simpler to subscribe to, and costs three processes some 10 µs
// each: the node, the server and the subscriber. A million a minute was then more than two
// processors could carry (bench/push).
type NATS struct {
	// Static after construction.
	address string
	subject string
	node    string
}

// NewNATS makes a sink of a nats:// or tls:// URL, or of several with commas between them. node is
// what batches say they come from.
func NewNATS(address, subject, node string) (*NATS, error) {
	for part := range strings.SplitSeq(address, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil || u.Host == "" || (u.Scheme != "nats" && u.Scheme != "tls") {
			return nil, fmt.Errorf("%q is no URL such as nats://127.0.0.1:4222", address)
		}
	}
	return &NATS{address, subject, node}, nil
}

// ValidSubject says whether a push can be published on the subject: tokens with dots between them,
// without wildcards.
func ValidSubject(subject string) bool {
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || strings.ContainsAny(token, " \t\r\n*>") {
			return false
		}
	}
	return true
}

func (n *NATS) String() string {
	var hosts []string
	for part := range strings.SplitSeq(n.address, ",") {
		if u, err := url.Parse(strings.TrimSpace(part)); err == nil {
			hosts = append(hosts, shown(u))
		}
	}
	return strings.Join(hosts, ",") + " " + n.subject
}

// natsBatchesMax are without a reply at a time: one connection carries many, and while one of them
// waits for its subscriber the others go on.
const natsBatchesMax = 5

// BatchMax divides the credits.
func (n *NATS) BatchMax() int { return tuning.PushInFlightMax / natsBatchesMax }

// Connect makes a client that connects, and connects again, for as long as it takes. While it is
// not connected a try fails at once: the pipeline waits, and does not have the client's buffer do
// so out of its sight.
func (n *NATS) Connect() (Conn, error) {
	c, err := nats.Connect(n.address, nats.Name("throng push"), nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1), nats.ReconnectBufSize(-1))
	if err != nil {
		return nil, err
	}
	return &natsConn{n, c}, nil
}

type natsConn struct {
	n *NATS
	c *nats.Conn
}

func (c *natsConn) Close() { c.c.Close() }

func (c *natsConn) Send(ctx context.Context, batch []Push) Answer {
	m := nats.NewMsg(c.n.subject)
	m.Header.Set(nats.MsgIdHdr, batchID(batch))
	m.Data = appendBatch(nil, c.n.node, batch)
	reply, err := c.c.RequestMsgWithContext(ctx, m)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		// The server says at once that nobody is there, and would again.
		return Answer{Result: Later, Err: err}
	case errors.Is(err, nats.ErrMaxPayload):
		return Answer{Result: Refused, Err: err}
	case err != nil:
		return Answer{Result: Failed, Err: err}
	}
	return judgeReply(reply.Data)
}

// batchID is the same for the same batch, so that a stream stores one once that was acknowledged
// and sent again because the acknowledgement came too late.
func batchID(batch []Push) string {
	h := fnv.New128a()
	for i := range batch {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], uint64(batch[i].User))
		binary.BigEndian.PutUint64(b[8:], uint64(batch[i].Note.Message))
		_, _ = h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// replyDepthMax is enough for what JetStream says.
const replyDepthMax = 16

// judgeReply says what follows from a reply. JetStream's has an "error" when the push was not
// stored; any other reply says that it was taken.
func judgeReply(reply []byte) Answer {
	if !wire.IsObject(reply) || !wire.ValidJSON(reply, replyDepthMax) {
		return Answer{}
	}
	failure, ok := wire.Field(reply, "error")
	if !ok || wire.IsNull(failure) {
		return Answer{}
	}
	code, _ := wire.IntField(failure, "code")
	a := Answer{Result: Failed, Err: fmt.Errorf("reply: %.200s", failure)}
	if code == 429 {
		a.Result = Later
	} else if code >= 400 && code < 500 {
		a.Result = Refused
	}
	return a
}
