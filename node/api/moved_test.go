package api

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"throng/tuning"
	"throng/wire"
)

// mover is where a guild has gone when it was asked for at the node, which then answers Moved.
type mover struct {
	asked  int
	bodies []string // That were taken there.
}

func (m *mover) Guild(w http.ResponseWriter, r *http.Request, _ wire.Snowflake) (bool, error) {
	if m.asked++; m.asked == 1 {
		return false, nil
	}
	body, err := io.ReadAll(r.Body)
	m.bodies = append(m.bodies, string(body))
	w.WriteHeader(http.StatusAccepted)
	return true, err
}

func (m *mover) Channel(w http.ResponseWriter, r *http.Request, id wire.Snowflake) (bool, error) {
	return m.Guild(w, r, id)
}

// TestRequestsFollowTheirGuild: what waits for its turn at a node when its guild goes is done by
// the next one, from its beginning, if nothing of it has been done.
func TestRequestsFollowTheirGuild(t *testing.T) {
	const one = `{"t":"TEST_EVENT","d":{}}`
	line := one + "\n"
	long := fmt.Sprintf(`{"t":"TEST_EVENT","d":{"text":%q}}`,
		strings.Repeat("x", tuning.MovedBodyBytesMax))
	for _, c := range []struct {
		name, body string
		done       int // Batches before it goes.
		status     int
		follows    bool
	}{
		{"an event", one, 0, 202, true},
		{"nothing", "", 0, 202, true},
		{"lines", strings.Repeat(line, 5), 0, 202, true},
		{"lines of which some are published", strings.Repeat(line, 5), 1, 503, false},
		{"more than is kept", long, 0, 503, false},
	} {
		n, m := furnished(), &mover{}
		n.fail, n.skip = Moved, c.done
		url := serve(t, Admin(n, Config{Elsewhere: m, Limits: Limits{Batch: 2}}))
		method, path := "POST", "/v1/guilds/5/events"
		if c.body == "" {
			method, path = "DELETE", "/v1/guilds/5"
		}
		a := request(t, method, url+path, c.body)
		if a.want(t, c.status, ""); c.follows != (len(m.bodies) == 1 && m.bodies[0] == c.body) {
			t.Errorf("%s: %d bodies follow: %.99q", c.name, len(m.bodies), m.bodies)
		}
		if again := a.header.Get("Retry-After"); !c.follows && again == "" {
			t.Errorf("%s: nobody is told to come again", c.name)
		}
	}
}

// TestRequestIsDoneAFewTimes: a guild that goes whenever it is asked for costs a few attempts.
func TestRequestIsDoneAFewTimes(t *testing.T) {
	n, tries := furnished(), 0
	n.fail = Moved
	url := serve(t, Admin(n, Config{Elsewhere: counting{&tries}}))
	request(t, "POST", url+"/v1/guilds/5/events", `{"t":"TEST_EVENT","d":{}}`).want(t, 503, "")
	if tries != tuning.MovedTriesMax {
		t.Errorf("it was tried %d times", tries)
	}
}

// counting has every guild here.
type counting struct{ tries *int }

func (c counting) Guild(http.ResponseWriter, *http.Request, wire.Snowflake) (bool, error) {
	*c.tries++
	return false, nil
}

func (c counting) Channel(http.ResponseWriter, *http.Request, wire.Snowflake) (bool, error) {
	return false, nil
}
