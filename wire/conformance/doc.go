// Package conformance holds the WebSocket cases that servers are commonly judged by, and a client
// to drive them with. Case numbers are those of the Autobahn test suite, so that a report of one
// can be read beside the other; the rows are written from RFC 6455. Groups 9 (messages of many
// megabytes), 12 and 13 (compression, which this gateway never negotiates) are left out; 247
// cases remain.
//
// Only tests import it. Drive runs a case against a function, for a parser without a socket; Run
// runs it against a net.Conn, for a server with one. Both grade alike: the server under test
// echoes messages, as Echo does. The client waits for what has to come, never for time to pass; a
// time limit only ends a case in which the server does not answer.
//
// Start reading at Case, then Cases, then Drive.
package conformance
