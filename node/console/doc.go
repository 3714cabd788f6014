// Package console is the operator's page at / on -admin: what a node is doing now, a look at one
// user's sessions, and two clients in the browser to try the gateway with.
//
// It serves the embedded files in page, which are everything that the page is made of, and GET
// /v1/live, which tells it the node's figures as server-sent events, one snapshot a second. It asks
// a Source, which the node implements, and never reaches into the node; everything else that the
// page shows or does is by the admin routes that anybody may use.
//
// While somebody looks one goroutine gathers for all viewers, whose number is bounded; while nobody
// does, nothing is gathered. A viewer that is slow misses snapshots and holds up nobody.
//
// The page itself has no secrets and needs no token. With -admin-token it asks for one and sends it
// as Authorization, which EventSource cannot: it reads the events from the body of a fetch. A
// cookie would do with EventSource, and would let any page that the operator visits use the node in
// their name.
//
// Start reading at Live in live.go, then snapshot.go, then page/overview.js.
package console
