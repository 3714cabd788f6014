package fanout

import (
	"fmt"
	"strings"
	"testing"

	"throng/store"
	"throng/wire"
)

// BenchmarkMsgCode is what the way to another node costs: of a message, which is published, and of
// a session that joins, in a guild of 100 channels. Of the joins the first brings the head, the
// next finds it there, and one after a message has to tell how it has changed.
func BenchmarkMsgCode(b *testing.B) {
	g := codeGuild(b)
	slot := uint32(0)
	admit := func() *Msg {
		slot++
		c, err := g.Join(Receiver{Handle: Handle{Slot: slot, Gen: 1}, User: 1000,
			Intents: wire.IntentsBot &^ wire.IntentMessageContent, LargeThreshold: 50}, testNow)
		if err != nil {
			b.Fatal(err)
		}
		return &c.Msgs[0]
	}
	head := func(m *Msg) *wire.Shared {
		shared, _, _ := m.Dispatches[0].Parts()
		return shared
	}
	first := admit()
	next := admit()
	c, err := g.Publish("MESSAGE_CREATE", codeMessage(), testNow)
	if err != nil {
		b.Fatal(err)
	}
	after := admit()
	for _, v := range []struct {
		name string
		m    *Msg
		last *wire.Shared
	}{
		{"publish", &c.Msgs[0], nil},
		{"admit first", first, nil},
		{"admit", next, head(first)},
		{"admit after a message", after, head(first)},
	} {
		b.Run(v.name, func(b *testing.B) {
			var packed []byte
			b.Run("append", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					packed, _ = AppendMsg(packed[:0], v.m, v.last)
				}
				b.ReportMetric(float64(len(packed)), "bytes")
			})
			b.Run("parse", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := ParseMsg(packed, v.last); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func codeGuild(b *testing.B) *Guild {
	var channels []string
	for i := range 100 {
		channels = append(channels, fmt.Sprintf(`{"id":"%d","name":"channel-%d"}`, 5000+i, i))
	}
	g := NewGuild(guildID, store.NewUsers())
	doc := `{"channels":[` + strings.Join(channels, ",") + `]}`
	if _, err := g.Replace([]byte(doc), testNow); err != nil {
		b.Fatal(err)
	}
	g.RestoreMember(store.MemberRecord{Member: store.Member{User: 1000}})
	return g
}

// codeMessage is a message of the usual length.
func codeMessage() []byte {
	return []byte(`{"id":"1190000000000000001","channel_id":"5050","content":"` +
		strings.Repeat("some words ", 12) + `","author":{"id":"900000000000000001",` +
		`"username":"somebody","global_name":"Some Body","avatar":"a1b2c3d4e5f6a1b2c3d4e5f6a1b2"}}`)
}
