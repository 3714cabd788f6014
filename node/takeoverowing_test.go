package node

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStrangersDoNotForbidARestart: a process takes over although clients without a token, and one
// with, never send the bodies that they announce.
func TestStrangersDoNotForbidARestart(t *testing.T) {
	t.Parallel()
	const guild, users = 1000, 2
	n := startRestartable(t, Config{}, "")
	n.furnish(guild, users)
	for _, says := range []struct{ door, head string }{
		{"api", "POST /api/v10/channels/1/messages HTTP/1.1"},
		{"api", "POST /api/v10/nowhere HTTP/1.1"},
		{"api", fmt.Sprintf("POST /api/v10/channels/%d/messages HTTP/1.1\r\nAuthorization: Bot %s",
			guild+1, tokenOf(1))},
		{"admin", "POST /nowhere HTTP/1.1"},
	} {
		sendHalf(t, n.doors[says.door], says.head)
	}
	for _, door := range []string{"api", "admin"} {
		c, err := net.Dial("tcp", n.doors[door])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_, _ = io.WriteString(c, "GET /")
	}
	n.restart()
}

// sendHalf sends a request with half of its body, once the node is at it.
func sendHalf(t *testing.T, address, head string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "%s\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{\"", head)
}

// TestBackendsWriteIsNotCut: a backend's own stream that goes on for too long makes a takeover
// fail, and is answered nevertheless.
func TestBackendsWriteIsNotCut(t *testing.T) {
	t.Parallel()
	const guild = 1000
	n := startRestartable(t, Config{}, "")
	n.furnish(guild, 2)
	c, err := net.Dial("tcp", n.doors["admin"])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	line := `{"user_id":"1"}` + "\n"
	fmt.Fprintf(c, "POST /v1/guilds/%d/members HTTP/1.1\r\nHost: localhost\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", guild, 2*len(line))
	_ = c.SetDeadline(time.Now().Add(patience))
	in := make([]byte, 4096)
	size, err := c.Read(in) // The handler reads.
	if err != nil || !strings.Contains(string(in[:size]), " 100 ") {
		t.Fatalf("got %q, %v", in[:size], err)
	}
	_, _ = io.WriteString(c, line)
	if err := syscall.Kill(n.pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	for f := []string{"", ""}; f[1] != "restart"; {
		f = strings.Fields(n.line())
	}
	_, _ = io.WriteString(c, line)
	size, err = c.Read(in)
	if err != nil || !strings.Contains(string(in[:size]), " 200 ") {
		t.Errorf("got %q, %v", in[:size], err)
	}
	n.waitReady()
}

// TestAnswersToWhoIsAwayAreGivenUp: nobody else waits for one whose client is away, and others have
// their time.
func TestAnswersToWhoIsAwayAreGivenUp(t *testing.T) {
	t.Parallel()
	r, slow, other := answersRig(t, 3_600_000)
	slow.send(8, `{"guild_id":"100","query":"","limit":0}`)
	open := func() (streams int) {
		r.onLoop(slow.home(), func(l *loop) { streams = len(l.streams) })
		return streams
	}
	r.until("its answer waits", func() bool { return open() == 1 })
	there := func(c *wsClient) (is bool) {
		r.onLoop(c.home(), func(l *loop) {
			l.giveUpStreams(false)
			id, _ := parseSessionID(c.session)
			is = l.byID(id) != nil
		})
		return is
	}
	if !there(slow) {
		t.Error("a client that reads slowly has no time")
	}
	slow.conn.Close()
	r.until("it is away", func() (away bool) {
		r.onLoop(slow.home(), func(l *loop) {
			id, _ := parseSessionID(slow.session)
			s := l.byID(id)
			away = s != nil && s.socket == nil
		})
		return away
	})
	if there(slow) || open() > 0 {
		t.Error("the answer to a client that is away is waited for")
	}
	if !there(other) {
		t.Error("another session has ended")
	}
}

func TestHugeJournalIsNotHandedOver(t *testing.T) {
	n := &Node{cfg: Config{Journal: takeoverJournalMax + 1}}
	if err := n.HandOver(nil); !errors.Is(err, errTakeoverJournal) {
		t.Errorf("got %v", err)
	}
}
