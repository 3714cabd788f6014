// Package wire is the protocol as bytes: WebSocket handshake and frames (RFC 6455), gateway
// payloads in JSON and ETF, snowflakes, intents, permissions, and the dispatch frame that is
// built once for everyone.
//
// Bytes go in and bytes come out. The package starts no goroutine, reads no clock, touches no
// socket and keeps no buffer of its own but a message that is still arriving in fragments.
// Everything that a peer can cause is an error value: *HandshakeError carries the HTTP status,
// *CloseError the close code to send. Encoders append to the slice they are given, so that the
// caller decides where the bytes live.
//
// Its callers are node, whose event loops feed it what their sockets hold, and fanout, which
// needs ids, intents and permissions. Limits are parameters (Limits); nothing here has a default
// that lets a peer make it grow. A whole message costs no allocation on the way in, and PutSeq
// none on the way out.
//
// Start reading at ParseHandshake, then Parser.Next, ParseCommand, and NewDispatch for the way
// back.
package wire
