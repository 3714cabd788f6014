//go:build !race

package clients

import "testing"

// TestPingPong is the whole thing at once: a discord.js bot hears what a human posts with disgo
// through the client-facing HTTP, answers through it, and the human hears the answer.
func TestPingPong(t *testing.T) {
	t.Parallel()
	needNode(t)
	p := startProxy(t)
	n := startNode(t, p)
	provision(t, n)
	p.pointAt(n)

	botRecord := newRecord(t)
	bot := dialScript("pingbot.js")(t, n, botToken, botRecord)
	t.Cleanup(bot.close)
	botRecord.wait(t, 1, "ready")

	rec := newRecord(t)
	human := dialDisgo(t, n, humanToken, rec)
	t.Cleanup(human.close)
	rec.wait(t, 2, "guild")

	for round := 1; round <= 3; round++ {
		human.post(t, channelID, "!ping")
		said := rec.wait(t, 2*round, "message")[2*round-2:]
		if said[0].Text != "!ping" || said[0].Author != humanID {
			t.Errorf("round %d: the question came as %+v", round, said[0])
		}
		if said[1].Text != "pong" || said[1].Author != botID || said[1].Channel != channelID {
			t.Errorf("round %d: the answer came as %+v", round, said[1])
		}
	}
}
