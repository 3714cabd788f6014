package node

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"throng/wire"
)

// dialOn dials until the connection is on a loop that pleases.
func (r *rig) dialOn(target string, pleases func(loop int) bool) *wsClient {
	r.t.Helper()
	for range 200 {
		c := r.dial(target)
		c.wantOp(wire.OpHello)
		if pleases(c.at()) {
			return c
		}
		c.conn.Close()
	}
	r.t.Fatal("the kernel never gave the connection to the loop that is wanted")
	return nil
}

// resumeRig has user 1 in guild 100, on several loops.
func resumeRig(t *testing.T, tweaks ...func(*core)) *rig {
	t.Helper()
	r := startRig(t, Config{Loops: 3}, tweaks...)
	r.user(1, true)
	r.user(2, true)
	r.guild(100, 1, 2)
	return r
}

// wantGone reads Invalid Session, behind the heartbeat request that discordgo needs before it, and
// holds that the connection can then identify.
func (c *wsClient) wantGone() {
	c.t.Helper()
	c.wantOp(wire.OpHeartbeat)
	if h := c.wantOp(wire.OpInvalidSession); string(h.Data) != "false" {
		c.t.Errorf("got %v", h)
	}
	c.seq = 0
	c.identify(c.user, "")
	c.joined(1)
}

func TestResumeOnEachLoop(t *testing.T) {
	r := resumeRig(t)
	c := r.login(1)
	c.joined(1)
	n := 0
	for _, place := range []string{"the same loop", "another loop", "the same loop again"} {
		home := c.home()
		same := !strings.HasPrefix(place, "another")
		c.conn.Close()
		r.publish(100, n, n+1, n+2)
		next := r.dialOn("/", func(loop int) bool { return (loop == home) == same })
		next.takeOver(c)
		for range 3 {
			next.wantNumber(n)
			n++
		}
		next.wantEvent("RESUMED")
		r.publish(100, n)
		next.wantNumber(n)
		n++
		if at := next.at(); at != home || next.home() != home {
			t.Errorf("%s: the socket is on loop %d, the session on %d", place, at, home)
		}
		c = next
	}
	if got := r.core.resumes.ok.Load(); got != 3 {
		t.Errorf("%d resumes, want 3", got)
	}
}

func TestWhatKeepsASession(t *testing.T) {
	r := resumeRig(t)
	for _, test := range []struct {
		name string
		end  func(c *wsClient)
		kept bool
	}{
		{"a cut", func(c *wsClient) {}, true},
		{"a reset", func(c *wsClient) { c.conn.(*net.TCPConn).SetLinger(0) }, true},
		{"half a frame", func(c *wsClient) { c.write(c.command(1, "null")[:5]) }, true},
		{"4000", func(c *wsClient) { c.write(closeFrame(4000)) }, true},
		{"4200", func(c *wsClient) { c.write(closeFrame(4200)) }, true},
		{"1012", func(c *wsClient) { c.write(closeFrame(1012)) }, true},
		{"4901", func(c *wsClient) { c.write(closeFrame(4901)) }, true},
		{"4999", func(c *wsClient) { c.write(closeFrame(4999)) }, true},
		{"a close without a code", func(c *wsClient) { c.write(frame(wire.OpcodeClose, "")) }, true},
		{"1000", func(c *wsClient) { c.write(closeFrame(1000)) }, false},
		{"1001", func(c *wsClient) { c.write(closeFrame(1001)) }, false},
		{"the server's close, echoed with 1000", func(c *wsClient) {
			c.write(frame(wire.OpcodeText, `{"op":99}`))
			for c.next().opcode != wire.OpcodeClose {
			}
			c.write(closeFrame(1000))
			c.wantEnd()
		}, true},
		{"the server's close, crossed by 1000", func(c *wsClient) {
			c.write(append(frame(wire.OpcodeText, `{"op":99}`), closeFrame(1000)...))
			for c.next().opcode != wire.OpcodeClose {
			}
			c.wantEnd()
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := r.login(1)
			c.t = t
			c.joined(1)
			test.end(c)
			c.conn.Close()
			r.until("the socket is gone", func() bool { return r.core.connections.Load() == 0 })
			next := c.again()
			if test.kept {
				next.wantEvent("RESUMED")
			} else {
				next.wantGone()
			}
			next.write(closeFrame(1000))
			for next.next().opcode != wire.OpcodeClose {
			}
		})
	}
}

// TestDoneAndGone: who says 1000 and resets is done, though our answer cannot be written.
func TestDoneAndGone(t *testing.T) {
	r := resumeRig(t)
	const clients = 40
	for range clients {
		c := r.login(1)
		c.joined(1)
		_ = c.conn.(*net.TCPConn).SetLinger(0)
		c.write(closeFrame(1000))
		c.conn.Close()
	}
	r.until("all are gone", func() bool { return r.core.connections.Load() == 0 })
	all, err := r.SessionsOf(r.context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	done, lost := r.closes(ClientDone), r.closes(ConnectionLost)
	if done+lost != clients || uint64(len(all)) != lost {
		t.Errorf("%d were done and %d lost, and %d sessions are kept", done, lost, len(all))
	}
}

// TestBytesBehindResume has commands arrive in one packet with RESUME, the last of them cut in
// half.
func TestBytesBehindResume(t *testing.T) {
	r := resumeRig(t)
	for _, same := range []bool{true, false} {
		c := r.login(1)
		c.joined(1)
		c.conn.Close()
		r.publish(100, 1)
		home := c.home()
		next := r.dialOn("/", func(loop int) bool { return (loop == home) == same })
		next.user, next.session, next.seq = c.user, c.session, c.seq
		b := next.command(6, next.resumeBody())
		b = append(b, next.command(1, "null")...)
		b = append(b, frame(wire.OpcodePing, "p")...)
		b = append(b, next.command(8, `{"guild_id":"100","user_ids":["2"]}`)...)
		b = append(b, next.command(1, "1")...)
		cut := len(b) - 3
		next.write(b[:cut])
		acks, pongs, events := 0, 0, map[string]int{}
		for acks < 1 || pongs < 1 || len(events) < 3 {
			switch h := next.next(); {
			case h.opcode == wire.OpcodePong:
				pongs++
			case h.Op == int(wire.OpHeartbeatAck):
				acks++
			case h.opcode == wire.OpcodeText && h.Op == 0:
				events[h.Type]++
			default:
				t.Fatalf("got %v", h)
			}
		}
		if events["TEST_EVENT"] != 1 || events["RESUMED"] != 1 || events["GUILD_MEMBERS_CHUNK"] != 1 {
			t.Errorf("same loop: %v: got %v", same, events)
		}
		next.write(b[cut:])
		next.wantOp(wire.OpHeartbeatAck)
		next.conn.Close()
	}
}

// TestResumeTakesTheSessionFromItsSocket: the last one wins, the first is closed so that its client
// may resume, and the stream goes on with neither gap nor repetition.
func TestResumeTakesTheSessionFromItsSocket(t *testing.T) {
	r := resumeRig(t)
	c := r.login(1)
	c.joined(1)
	for n := range 20 {
		r.publish(100, n)
		if n%3 == 0 { // Sometimes the old socket has not read what was sent to it.
			c.wantNumber(n)
			r.publish(100, 1000+n)
			next := c.again()
			next.wantNumber(1000 + n)
			next.wantEvent("RESUMED")
			c.wantClose(wire.CloseUnknown)
			c = next
			continue
		}
		next := c.again()
		next.wantNumber(n)
		next.wantEvent("RESUMED")
		c.wantClose(wire.CloseUnknown)
		c = next
	}
	if got := r.closes(Superseded); got != 20 {
		t.Errorf("%d sockets were superseded, want 20", got)
	}
	all, err := r.SessionsOf(r.context(), 1)
	if err != nil || len(all) != 1 || all[0].State != "live" {
		t.Errorf("the sessions are %+v, %v", all, err)
	}
}

func TestResumesThatAreRefused(t *testing.T) {
	r := resumeRig(t)
	const gone = wire.CloseCode(0)
	body := func(token, session string, seq any) string {
		return fmt.Sprintf(`{"token":"%s","session_id":"%s","seq":%v}`, token, session, seq)
	}
	for _, test := range []struct {
		name, target string
		body         func(c *wsClient) string
		code         wire.CloseCode
	}{
		{"a number too high", "/", func(c *wsClient) string {
			return body(tokenOf(1), c.session, c.seq+1)
		}, wire.CloseInvalidSeq},
		{"a number that none can be", "/", func(c *wsClient) string {
			return body(tokenOf(1), c.session, "4294967296")
		}, wire.CloseInvalidSeq},
		{"number 0", "/", func(c *wsClient) string { return body(tokenOf(1), c.session, 0) }, gone},
		{"no number", "/", func(c *wsClient) string {
			return body(tokenOf(1), c.session, "null")
		}, gone},
		{"another's token", "/", func(c *wsClient) string {
			return body(tokenOf(2), c.session, c.seq)
		}, wire.CloseAuthenticationFailed},
		{"an id that is none", "/", func(c *wsClient) string { return body(tokenOf(1), "x", 1) }, gone},
		{"an id of nobody", "/", func(c *wsClient) string {
			return body(tokenOf(1), strings.Repeat("0", 32), 1)
		}, gone},
		{"an id on a loop that is not there", "/", func(c *wsClient) string {
			return body(tokenOf(1), c.session[:20]+"ffff"+c.session[24:], 1)
		}, gone},
		{"a slot that is not there", "/", func(c *wsClient) string {
			return body(tokenOf(1), c.session[:24]+"ffffffff", 1)
		}, gone},
		{"another id of the slot", "/", func(c *wsClient) string {
			return body(tokenOf(1), strings.Repeat("a", 20)+c.session[20:], 1)
		}, gone},
		{"another encoding", "/?encoding=etf", (*wsClient).resumeBody, gone},
		{"another version", "/?v=9", (*wsClient).resumeBody, gone},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := r.login(1)
			c.t = t
			c.joined(1)
			c.conn.Close()
			for _, same := range []bool{true, false} {
				next := r.dialOn(test.target, func(loop int) bool { return (loop == c.home()) == same })
				next.t, next.user = t, 1
				next.send(6, test.body(c))
				if test.code == gone {
					next.wantGone()
				} else {
					next.wantClose(test.code)
				}
				next.conn.Close()
			}
			// Whoever knows better still gets in.
			c.again().wantEvent("RESUMED")
		})
	}
}

func TestResumeThatIsTooLate(t *testing.T) {
	t.Run("the window is over", func(t *testing.T) {
		r := resumeRig(t, func(c *core) { c.limits.resumeMilli = 1 })
		c := r.login(1)
		c.joined(1)
		c.conn.Close()
		r.until("the session is over", func() bool {
			all, err := r.SessionsOf(r.context(), 1)
			return err == nil && len(all) == 0
		})
		next := c.again()
		next.wantGone()
	})
	t.Run("acknowledged", func(t *testing.T) {
		r := resumeRig(t)
		c := r.login(1)
		c.joined(1)
		r.publish(100, 1)
		c.wantNumber(1)
		c.send(1, fmt.Sprint(c.seq))
		c.wantOp(wire.OpHeartbeatAck)
		c.seq--
		next := c.again()
		next.wantGone()
		if got := r.core.resumes.late.Load(); got != 1 {
			t.Errorf("%d resumes came too late, want 1", got)
		}
		// Whoever has the session does not hear of it.
		c.seq++
		r.publish(100, 2)
		c.wantNumber(2)
	})
	t.Run("the journal has gone round", func(t *testing.T) {
		r := startRig(t, Config{Journal: 1 << 20})
		r.user(1, true)
		r.guild(100, 1)
		c := r.login(1)
		c.joined(1)
		c.conn.Close()
		r.until("detached", func() bool { return r.core.connections.Load() == 0 })
		big := repeat("x", 60<<10)
		for range 20 {
			r.publishEvent(100, namedEvent("TEST_EVENT", `{"n":1,"big":"`+big+`"}`))
		}
		c.again().wantGone()
	})
}

// TestResumeWhenTheNodeIsFull: a socket on its way between two loops is counted on both for a
// moment, and must not be taken for one too many.
func TestResumeWhenTheNodeIsFull(t *testing.T) {
	r := startRig(t, Config{Loops: 2, MaxConnections: 3})
	r.user(1, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	for moves := 0; moves < 40; {
		c.conn.Close()
		r.until("a place is free", func() bool { return r.core.connections.Load() == 0 })
		next := r.dialOn("/", func(loop int) bool { return loop != c.home() })
		r.until("others are gone", func() bool { return r.core.connections.Load() == 1 })
		others := []*wsClient{r.dial("/"), r.dial("/")}
		next.takeOver(c)
		next.wantEvent("RESUMED")
		for _, o := range others {
			o.conn.Close()
		}
		c = next
		moves++
	}
}
