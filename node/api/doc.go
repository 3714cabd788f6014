// Package api is the node's two HTTP doors: the one that client libraries call and the one that
// backends and operators call.
//
// It reads requests, checks who asks and whether what they sent is well formed and within limits,
// and hands values to a Node, an interface that the node implements; then it writes the answer.
// It keeps no state about guilds, users or sessions, never reaches into the node, and starts no
// goroutine. Client serves -api and answers with Discord's errors ({"message","code"}); Admin
// serves -admin and answers {"error","field"}. A refusal is one *Error either way.
//
// The routes of Admin. JSON in, JSON out; ids are decimal strings. Where it says lines, the body is
// one object a line, and the answer is {"accepted":N,"rejected":[{"line":1,"error":"…"}]}.
//
//	PUT    /v1/users/{id}         create or replace: username, global_name, avatar, bot, flags;
//	                              token, to log in with; application_flags, as Discord's, which
//	                              allow privileged intents (without them all are allowed). Who
//	                              sees a change of name or picture is told: the user itself by
//	                              USER_UPDATE, others by GUILD_MEMBER_UPDATE, PRESENCE_UPDATE
//	POST   /v1/users              the same by lines, with id in each
//	POST   /v1/users/{id}/tokens  mint a token, or register the one given: {"token":"…"}
//	DELETE /v1/users/{id}/tokens  revoke them all; sessions stay
//	POST   /v1/users/{id}/events  publish to all sessions of a user, as for a guild
//	GET    /v1/guilds             the largest: ?top=sessions&limit=20
//	PUT    /v1/guilds/{id}        create or replace: the guild's fields, roles, channels, threads,
//	                              emojis, stickers; voice_servers, ["host:port"], without which
//	                              VOICE_SERVER_UPDATE has no endpoint
//	GET    /v1/guilds/{id}        fields and counts
//	DELETE /v1/guilds/{id}        GUILD_DELETE to its sessions, and it is gone
//	POST   /v1/guilds/{id}/members  lines of members: user or user_id, roles, nick, joined_at and
//	                              so on; no events but with ?announce=1
//	GET    /v1/guilds/{id}/members  all of them as of one moment, in the lines that POST takes
//	DELETE /v1/guilds/{id}/members/{user}  GUILD_MEMBER_REMOVE, and GUILD_DELETE to that user
//	POST   /v1/guilds/{id}/move   {"node": name}: the guild is to live there, whatever the ring
//	                              says; 202 when that is written down
//	DELETE /v1/guilds/{id}/move   and it goes back to where the ring has it
//	POST   /v1/guilds/{id}/events  one event {"t","d"}, or lines of them: 202 {"event_index":N}
//	                              when it has its place. Events that change the guild are applied
//	                              first; a t of one's own goes to every session of the guild.
//	                              PRESENCE_UPDATE has no place: of several about one member the
//	                              last is told, within 50 to 250 ms and out of order
//	GET    /v1/sessions           ?user_id=
//	GET    /v1/sessions/{id}      what the node knows of it
//	DELETE /v1/sessions/{id}      end it; it cannot be resumed
//	POST   /v1/sessions/{id}/reconnect  ask its client to reconnect and resume (op 7)
//	PUT    /v1/voice/servers/{name}  add or change a media server: region (as in a channel's
//	                              rtc_region), endpoint (host:port), capacity in users; secret,
//	                              which signs the tokens of its users; load and expires_in, as in
//	                              a report. In memory only: a media server reports again
//	POST   /v1/voice/servers/{name}/load  a media server's report: {"load":users}; expires_in
//	                              seconds (30) without another one and it is lost, and who is on
//	                              it is sent to another. 404 asks for a PUT, as after a restart
//	DELETE /v1/voice/servers/{name}  it is gone, and who is on it is sent to another
//	GET    /v1/voice/servers      all of them, with load and users
//	GET    /v1/cluster            all nodes, with what each of them counts
//	GET    /v1/node               version, limits in force, counts
//	GET    /v1/live               what the console shows: server-sent events, one snapshot
//	                              a second
//	GET    /v1/timings            how loops, shards, workers and the keeper of the store spend
//	                              their time, by type of message, and how their inboxes stand:
//	                              ?by=total for what the time goes into, ?by=longest for what
//	                              keeps others waiting
//	GET    /v1/memory             what sessions, members, journals and so on take, estimated from
//	                              a part of them, with a bound on the error
//	GET    /v1/stalls             the newest messages that took longer than a limit, with guild
//	                              and stack
//	PATCH  /v1/stalls             {"limit_seconds": number}: change that limit until the node ends
//	GET    /v1/tuning             settings that may be changed live: value, default (what the
//	                              node began with), range, unit, meaning
//	PATCH  /v1/tuning             {"name": number}: change some of them, or with null back, all
//	                              that are named or none; until the node ends, nothing is kept
//	POST   /v1/drain              what SIGTERM does
//	GET    /debug/check           the invariants over live state; 500 with the first that fails
//	GET    /debug/stacks          goroutines by function and state, how many, and the longest wait
//	GET    /debug/flight          an execution trace of the last seconds, for go tool trace, when
//	                              -flight is on
//	GET    /debug/flights         those that were kept because of stalls
//	GET    /debug/flights/{number}  one of them
//	GET    /debug/pprof/goroutineleak  goroutines that nobody can wake any more; 501 when the
//	                              binary was built without that experiment of Go's
//
// Beside them /healthz, /readyz, /metrics (Prometheus) and /debug/pprof/.
//
// Every body has a limit, read by the line where it is NDJSON, so that memory in use is bounded
// by limits times requests in flight, which are bounded too. Lines of one request reach the Node
// in their order. Start reading at Node in node.go, then Admin in admin.go.
package api
