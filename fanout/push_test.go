package fanout

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"throng/wire"
)

// pushWorld has members 200 to 205 of whom 201 is connected, 203 is a bot, and 204 has role 5.
func pushWorld(t *testing.T) *world {
	w := newWorld(t, plainDoc)
	w.g.WantPushes()
	w.user(200, "ann")
	bot, err := ParseUser(203, []byte(`{"username":"bot","bot":true}`))
	if err != nil {
		t.Fatal(err)
	}
	w.users.Put(bot)
	for id := wire.Snowflake(200); id < 206; id++ {
		w.member(id, "")
	}
	w.member(204, `"roles":["5"]`)
	w.join(201, allOfThem)
	return w
}

// pushed are the users whom a change pushes to.
func pushed(c Change) (users []wire.Snowflake) {
	for _, p := range c.Pushes {
		users = append(users, p.Users...)
	}
	return users
}

func TestPushGoesToWhoIsMentionedAndAway(t *testing.T) {
	w := pushWorld(t)
	w.user(9, "stranger")
	for _, test := range []struct{ name, message, want string }{
		{"away and connected", `"mentions":["201","202"]`, "[202]"},
		{"several, once each", `"mentions":["205","202","205"]`, "[205 202]"},
		{"the author", `"mentions":["200"]`, "[]"},
		{"a bot", `"mentions":["203","202"]`, "[202]"},
		{"somebody who is no member", `"mentions":["9"]`, "[]"},
		{"nobody", `"mentions":[]`, "[]"},
		{"everyone and a role", `"mention_everyone":true,"mention_roles":["5"]`, "[]"},
		{"silently", `"mentions":["202"],"flags":4096`, "[]"},
		{"with another flag", `"mentions":["202"],"flags":4`, "[202]"},
	} {
		c := w.publish("MESSAGE_CREATE", `{"channel_id":"10","author":{"id":"200"},`+test.message+`}`)
		want(t, test.name, pushed(c), test.want)
	}
}

func TestPushOnlyToWhoMayRead(t *testing.T) {
	w := pushWorld(t)
	message := func(channel string) Change {
		return w.publish("MESSAGE_CREATE", `{"channel_id":"`+channel+
			`","author":{"id":"200"},"mentions":["202","204"]}`)
	}
	want(t, "in a channel for all", pushed(message("10")), "[202 204]")
	want(t, "in a channel for a role", pushed(message("11")), "[204]")
	w.member(204, `"roles":[]`)
	want(t, "without the role", pushed(message("11")), "[]")
	w.publish("THREAD_CREATE", `{"id":"50","parent_id":"10","type":12,"name":"private"}`)
	want(t, "in a private thread", pushed(message("50")), "[]")
	w.publish("THREAD_MEMBERS_UPDATE", `{"id":"50","added_members":[{"user_id":"202"}]}`)
	want(t, "as its member", pushed(message("50")), "[202]")
}

func TestPushFollowsSessions(t *testing.T) {
	w := pushWorld(t)
	message := `{"channel_id":"10","author":{"id":"200"},"mentions":["202"]}`
	one, two := w.join(202, allOfThem), w.join(202, allOfThem)
	want(t, "with two sessions", pushed(w.publish("MESSAGE_CREATE", message)), "[]")
	w.play(w.g.Leave(one.Handle, w.now))
	one.in = false
	want(t, "with one", pushed(w.publish("MESSAGE_CREATE", message)), "[]")
	w.play(w.g.Leave(two.Handle, w.now))
	two.in = false
	want(t, "with none", pushed(w.publish("MESSAGE_CREATE", message)), "[202]")
	want(t, "for an edit", pushed(w.publish("MESSAGE_UPDATE",
		`{"id":"1","channel_id":"10","mentions":["202"]}`)), "[]")
}

func TestPushSaysWhatWasWritten(t *testing.T) {
	w := pushWorld(t)
	long := strings.Repeat("é", 500)
	c := w.publish("MESSAGE_CREATE", `{"id":"77","channel_id":"10","author":{"id":"200"},
		"content":"`+long+`","mentions":["202"]}`)
	if len(c.Pushes) != 1 {
		t.Fatalf("%d pushes, want 1", len(c.Pushes))
	}
	p := c.Pushes[0]
	want(t, "ids", fmt.Sprint(p.Channel, p.Message, p.Author), "10 77 200")
	want(t, "name", p.Name, "ann")
	if p.Text != long[:400] || !utf8.ValidString(p.Text) {
		t.Errorf("the text is %q, want 200 characters", p.Text)
	}
	w.member(200, `"nick":"Annie"`)
	name := func(author string) string {
		c := w.publish("MESSAGE_CREATE", `{"channel_id":"10","mentions":["202"],"author":`+author+`}`)
		return c.Pushes[0].Name
	}
	want(t, "nickname", name(`{"id":"200"}`), "Annie")
	want(t, "webhook's name", name(`{"id":"77","username":"hook"}`), "hook")
	want(t, "display name", name(`{"id":"77","username":"hook","global_name":"The Hook"}`),
		"The Hook")
}

func TestPushLooksUpSoMany(t *testing.T) {
	w := pushWorld(t)
	var mentions []string
	for id := 1000; id < 1150; id++ {
		w.member(wire.Snowflake(id), "")
		mentions = append(mentions, fmt.Sprintf("%q", fmt.Sprint(id)))
	}
	c := w.publish("MESSAGE_CREATE", `{"channel_id":"10","author":{"id":"200"},"mentions":[`+
		strings.Join(mentions, ",")+`]}`)
	want(t, "pushes, omitted", fmt.Sprint(len(c.Pushes[0].Users), c.Pushes[0].Omitted), "100 50")
}

func TestNoPushesUnlessWanted(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, "")
	w.member(202, "")
	c := w.publish("MESSAGE_CREATE", `{"channel_id":"10","author":{"id":"200"},"mentions":["202"]}`)
	want(t, "pushes", len(c.Pushes), 0)
}

// BenchmarkPublishWithMentions is what pushes add to a message with ten mentions of members who are
// away.
func BenchmarkPublishWithMentions(b *testing.B) {
	for _, wanted := range []bool{false, true} {
		b.Run(fmt.Sprintf("pushes=%v", wanted), func(b *testing.B) {
			w := newWorld(b, plainDoc)
			if wanted {
				w.g.WantPushes()
			}
			var mentions []string
			for id := wire.Snowflake(200); id < 211; id++ {
				w.member(id, "")
				mentions = append(mentions, fmt.Sprintf("%q", id.String()))
			}
			d := []byte(`{"channel_id":"10","author":{"id":"200"},"content":"hello there","mentions":[` +
				strings.Join(mentions[1:], ",") + `]}`)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.g.Publish("MESSAGE_CREATE", d, w.now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestPushGoesToThePassive(t *testing.T) {
	w := largeWorld(t)
	w.g.WantPushes()
	user := w.joinUser(102, UpdateV2)
	text := message("10", `,"mentions":[{"id":"102","username":"u"}]`)
	want(t, "while passive", pushed(w.publish("MESSAGE_CREATE", text)), "[102]")
	w.subscribe(user, `"typing":true`)
	want(t, "while it listens", pushed(w.publish("MESSAGE_CREATE", text)), "[]")
}
