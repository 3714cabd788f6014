// Package push tells the outside of messages that mention members who are away, so that something
// there can ring their phones.
//
// Guilds offer pushes and a sink takes them; between the two stands a bounded buffer, and demand
// moves it. A connection to the sink has 100 credits; a push takes one with it when it leaves the
// buffer, and brings it back when the sink has answered or the time for that is over. A sink that
// is slow so leaves pushes in the buffer, where they cost nothing but room: a newer one for the
// same user and channel takes the place of the older, what is too old is thrown away when its turn
// comes, and when the buffer is full the oldest makes room. All of it is counted. It never holds a
// guild back, and it never drops anything without counting it.
//
// A sink gets batches, as JSON:
//
//	{"node":"one","pushes":[{"user_id":"1","guild_id":"2","channel_id":"3","message_id":"4",
//	 "author_id":"5","author_name":"ada","content":"the first 200 characters","count":3}]}
//
// count is how many messages the push stands for; it shows the last of them. What phones are sent
// may have 4 KB in all, and 200 characters are at most 800 bytes of it. A Webhook gets a POST of up
// to 100 pushes; 2xx takes all, 429 or 503 with Retry-After asks for a pause, another 4xx refuses
// all of them for good, anything else is tried again. A NATS subject gets messages of up to 20
// pushes, with a Nats-Msg-Id of the batch, and a reply takes all: a JetStream stream replies by
// itself, any other subscriber must. What was sent and not acknowledged is sent again, so a sink
// knows pushes by user and message.
//
// Order: none is promised. Package node calls it: its shards offer, main's flags choose the sink.
// @everyone and roles push to nobody; only members who are mentioned by name are looked up. Start
// reading at Pipeline, then buffer and conn.
package push
