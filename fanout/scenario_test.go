package fanout

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"throng/wire"
)

// TestScenarios plays the scripts in testdata. A line is a step, `#` begins a comment:
//
//	guild DOC                   makes the guild of the script
//	member USER FIELDS          loads a member quietly; FIELDS are JSON members or nothing
//	join NAME USER INTENTS      a session of that name joins
//	leave NAME                  it ends
//	publish T D                 one event
//	remove USER                 removes a member
//	replace DOC                 replaces the document
//	delete                      deletes the guild
//	presence NAME STATUS        what a session says of itself
//	voice NAME CHANNEL          asks for a voice channel; 0 leaves
//	tick MS                     lets time pass
//	hears NAME EVENT…           all that it has heard since it was last asked
//	steps KIND…                 the kinds of the messages of the last step, in their order
func TestScenarios(t *testing.T) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name, isScript := strings.CutSuffix(file.Name(), ".txt")
		if !isScript {
			continue
		}
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile("testdata/" + file.Name())
			if err != nil {
				t.Fatal(err)
			}
			s := &script{t: t, named: make(map[string]*heard)}
			lines := bufio.NewScanner(bytes.NewReader(raw))
			for number := 1; lines.Scan(); number++ {
				line := strings.TrimSpace(lines.Text())
				if line == "" || line[0] == '#' {
					continue
				}
				s.step(number, line)
			}
		})
	}
}

type script struct {
	t     *testing.T
	w     *world
	named map[string]*heard
	last  Change
}

func (s *script) step(number int, line string) {
	s.t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	first, more, _ := strings.Cut(rest, " ")
	if verb == "guild" {
		s.w = newWorld(s.t, rest)
		return
	}
	w := s.w
	switch verb {
	case "member":
		s.last = w.member(s.id(first), more)
	case "join":
		user, intents, _ := strings.Cut(more, " ")
		s.named[first] = w.join(s.id(user), s.intents(intents))
	case "leave":
		gone := s.named[first]
		gone.in = false
		s.last = w.play(w.g.Leave(gone.Handle, w.now))
	case "publish":
		s.last = w.publish(first, more)
	case "remove":
		s.last = w.must(w.g.RemoveMember(s.id(first), w.now))
	case "replace":
		s.last = w.must(w.g.Replace([]byte(rest), w.now))
	case "delete":
		s.last = w.play(w.g.Delete(w.now))
	case "presence":
		cmd := wire.PresenceCommand{Status: more}
		s.last = w.play(w.g.SetPresence(s.named[first].Handle, cmd, w.now))
	case "voice":
		cmd := wire.VoiceStateCommand{GuildID: guildID, ChannelID: s.id(more)}
		s.last = w.play(w.g.SetVoice(s.named[first].Handle, cmd, w.now))
	case "tell":
		s.last = w.tell()
	case "tick":
		w.now += int64(s.id(first))
	case "hears":
		want(s.t, fmt.Sprintf("line %d: %s", number, first), s.named[first].names(), more)
	case "steps":
		kinds := make([]string, len(s.last.Msgs))
		for i, m := range s.last.Msgs {
			kinds[i] = m.Kind.String()
		}
		want(s.t, fmt.Sprintf("line %d", number), strings.Join(kinds, " "), rest)
	default:
		s.t.Fatalf("line %d: no such step: %s", number, line)
	}
}

func (s *script) id(text string) wire.Snowflake {
	id, err := wire.ParseSnowflake(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *script) intents(text string) wire.Intents {
	if text == "all" {
		return allOfThem
	}
	bits, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return wire.Intents(bits)
}
