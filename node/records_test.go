package node

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"

	"throng/wire"
)

// sealer writes the records of a client whose handshake is over, as crypto/tls would not: several
// in one segment, and changes of keys. RFC 8446 5.2, 7.1 to 7.3.
type sealer struct {
	secret []byte
	seq    uint64
	aead   cipher.AEAD
	iv     []byte
}

// sealing is a client with HELLO behind it, and what writes its records from now on.
func sealing(t *testing.T, r *rig, receiveBuffer int) (*wsClient, *sealer) {
	t.Helper()
	var log bytes.Buffer
	plain := r.secure
	r.secure = plain.Clone()
	r.secure.KeyLogWriter = &log
	c, err := r.tryConnect(receiveBuffer)
	r.secure = plain
	if err != nil {
		t.Fatal(err)
	}
	c.upgrade("/")
	c.wantOp(wire.OpHello)
	if suite := c.conn.(*tls.Conn).ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("%s: the processor has no AES?", tls.CipherSuiteName(suite))
	}
	_, line, _ := strings.Cut(log.String(), "CLIENT_TRAFFIC_SECRET_0 ")
	secret, err := hex.DecodeString(strings.Fields(line)[1])
	if err != nil {
		t.Fatal(err)
	}
	s := &sealer{secret: secret}
	s.derive(t)
	s.seq = 1 // The request.
	return c, s
}

func (s *sealer) expand(t *testing.T, label string, length int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len("tls13 "+label)))
	info = append(append(info, "tls13 "+label...), 0)
	key, err := hkdf.Expand(sha256.New, s.secret, string(info), length)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (s *sealer) derive(t *testing.T) {
	block, err := aes.NewCipher(s.expand(t, "key", 16))
	if err != nil {
		t.Fatal(err)
	}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		t.Fatal(err)
	}
	s.iv, s.seq = s.expand(t, "iv", 12), 0
}

func (s *sealer) seal(kind byte, content []byte) []byte {
	inner := append(bytes.Clone(content), kind)
	length := len(inner) + s.aead.Overhead()
	head := []byte{23, 3, 3, byte(length >> 8), byte(length)}
	nonce := bytes.Clone(s.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(s.seq >> (56 - 8*i))
	}
	s.seq++
	return append(bytes.Clone(head), s.aead.Seal(nil, nonce, inner, head)...)
}

func (s *sealer) data(b []byte) []byte { return s.seal(23, b) }

// update changes the keys, and has the other side change its own.
func (s *sealer) update(t *testing.T) []byte {
	record := s.seal(recordHandshake, []byte{24, 0, 0, 1, 1})
	s.secret = s.expand(t, "traffic upd", sha256.Size)
	s.derive(t)
	return record
}

func underneath(c *wsClient) net.Conn { return c.conn.(*tls.Conn).NetConn() }

// TestTLSPipelinedResumes: who moves on as soon as it has come takes all records along.
func TestTLSPipelinedResumes(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{})
	ids := hostedEverywhere(t, r)
	for range 4 {
		c, s := sealing(t, r, 0)
		const resumes, beats = 6, 30
		var together, all []byte
		for i := range resumes {
			together = append(together,
				c.command(6, `{"token":"x","session_id":"`+ids[i&1]+`","seq":1}`)...)
		}
		all = s.data(together)
		for range beats {
			all = append(all, s.data(c.command(1, "null"))...)
		}
		if _, err := underneath(c).Write(all); err != nil {
			t.Fatal(err)
		}
		for range resumes {
			c.wantOp(wire.OpHeartbeat)
			c.wantOp(wire.OpInvalidSession)
		}
		for range beats {
			c.wantOp(wire.OpHeartbeatAck)
		}
		c.conn.Close()
	}
}

// TestTLSKeyUpdates: keys may be changed, but not without end, nor without the answers being read.
func TestTLSKeyUpdates(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{})
	narrow, _ := secureRig(t, Config{SocketSendBuffer: 4 << 10})
	t.Run("now and then", func(t *testing.T) {
		c, s := sealing(t, r, 0)
		for range 40 {
			_, err := underneath(c).Write(append(s.update(t), s.data(c.command(1, "null"))...))
			if err != nil {
				t.Fatal(err)
			}
			c.wantOp(wire.OpHeartbeatAck)
		}
		c.conn.Close()
	})
	for _, with := range []struct {
		name    string
		rig     *rig
		buffer  int // of the client's kernel, 0 = as it is
		updates int // to an octet
		read    bool
	}{{"read", r, 0, 16, true}, {"not read", narrow, 2 << 10, 1, false}} {
		t.Run(with.name, func(t *testing.T) {
			r := with.rig
			c, s := sealing(t, r, with.buffer)
			if with.read {
				go func() { _, _ = io.Copy(io.Discard, underneath(c)) }()
			}
			message := frame(wire.OpcodeText, strings.Repeat(" ", 4000))
			_, err := underneath(c).Write(s.data(message[:8]))
			held := 0
			for i := 8; err == nil && i < len(message); i++ {
				var next []byte
				for range with.updates {
					next = append(next, s.update(t)...)
				}
				_, err = underneath(c).Write(append(next, s.data(message[i:i+1])...))
				if i%50 == 0 {
					r.eachSocket(func(_ *loop, k *socket) {
						held = max(held, len(k.io.(*connection).secure.held))
					})
				}
			}
			r.until("it is closed", func() bool { return r.closes(TLSFailed) == 1 })
			if most := 4<<10 + 4<<10 + 17<<10; held > most {
				t.Errorf("%d octets of answers were held, want %d at most", held, most)
			}
			c.conn.Close()
		})
	}
	r.emptied()
	narrow.emptied()
}

// TestTLSRecordsLeaveNothingBehind: what a record was read into is not the connection's.
func TestTLSRecordsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{})
	c := r.login(1)
	c.joined(1)
	most := func() (bytes int) {
		r.eachSocket(func(l *loop, k *socket) {
			x := k.io.(*connection)
			bytes = max(bytes, x.secure.memory(&newRuler().Ruler, r.engine.inside))
		})
		return bytes
	}
	idle := most()
	for range 3 {
		c.write(frame(wire.OpcodeText, `{"op":1,"d":null`+strings.Repeat(" ", 4000)+"}"))
		c.wantOp(wire.OpHeartbeatAck)
	}
	if got := most(); got > idle || got > 3500 {
		t.Errorf("%d octets behind long messages, before %d", got, idle)
	}
	// A part of a record is kept as long as the rest has not come.
	sealed, s := sealing(t, r, 0)
	record := s.data(frame(wire.OpcodeText, `{"op":1,"d":null`+strings.Repeat(" ", 4000)+"}"))
	for len(record) > 0 {
		n := min(700, len(record))
		if _, err := underneath(sealed).Write(record[:n]); err != nil {
			t.Fatal(err)
		}
		record = record[n:]
		c.send(1, "null")
		c.wantOp(wire.OpHeartbeatAck)
	}
	sealed.wantOp(wire.OpHeartbeatAck)
	if got := most(); got > idle {
		t.Errorf("%d octets behind a record in parts, before %d", got, idle)
	}
}
