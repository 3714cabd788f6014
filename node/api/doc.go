// Package api is the node's two HTTP doors: the one that client libraries call and the one that
// backends and operators call.
//
// It reads requests, checks who asks and whether what they sent is well formed and within limits,
// and hands values to a Node, an interface that the node implements; then it writes the answer.
// It keeps no state about guilds, users or sessions, never reaches into the node, and starts no
// goroutine. Client serves -api and answers with Discord's errors ({"message","code"}); Admin
// serves -admin and answers {"error","field"}. A refusal is one *Error either way.
//
// Every body has a limit, read by the line where it is NDJSON, so that memory in use is bounded
// by limits times requests in flight, which are bounded too. Lines of one request reach the Node
// in their order. Start reading at Node in node.go, then Admin in admin.go.
package api
