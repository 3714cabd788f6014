package node

import (
	"fmt"
	"net/http"

	"throng/wire"
)

// handshake reads the upgrade request and answers it: with 101 and HELLO in one write, or with an
// HTTP error. A version or an encoding that the node does not speak is told inside the protocol,
// as the client libraries expect.
func (l *loop) handshake(k *socket, buf []byte) (consumed int) {
	h, n, fault := wire.ParseHandshake(buf, l.core.limits.wire)
	if fault == nil && n == 0 {
		return 0
	}
	reason := HandshakeRefused
	if fault == nil && !l.core.limits.origins.allow(h.Origin) {
		reason, fault = OriginRefused, &wire.HandshakeError{Status: http.StatusForbidden,
			Reason: "This page may not connect."}
	}
	if fault == nil && !l.core.accepts.take(l.core.clock()) {
		fault = &wire.HandshakeError{Status: http.StatusServiceUnavailable,
			Reason: "Too many connections are being opened; come again in a second."}
	}
	if fault == nil && l.core.draining.Load() {
		fault = &wire.HandshakeError{Status: http.StatusServiceUnavailable,
			Reason: "The node is shutting down."}
	}
	if fault != nil {
		k.control = wire.AppendHandshakeRefusal(k.control, fault)
		l.write(k)
		l.closeSocket(k, reason, "")
		return len(buf)
	}
	reply := wire.AppendHandshakeReply(nil, h.Key)
	k.state = socketHello
	k.opening = &opening{host: h.Host}
	l.due(k, l.time+l.core.limits.identifyMilli)
	r, sentence := k.negotiate(h)
	if sentence == "" {
		l.takeContext(k, k.compression)
	}
	if k.stream != nil {
		k.stream.unsent = reply
	} else {
		k.control = reply
	}
	if sentence != "" {
		l.closeSocket(k, r, sentence)
		return len(buf)
	}
	k.say(func(dst []byte, v wire.Variant) []byte {
		return wire.AppendHello(dst, v, int(l.core.limits.heartbeatMilli), l.core.limits.trace,
			int(l.core.limits.window))
	})
	l.write(k)
	return n
}

// negotiate takes version, encoding and compression from the query, or says what is wrong. A
// client that names no version or encoding gets what all libraries use today.
func (k *socket) negotiate(h wire.Handshake) (r CloseReason, sentence string) {
	switch h.Version {
	case 9, 10:
		k.version = uint8(h.Version)
	case 0:
		k.version = 10
	default:
		return BadVersion, "The gateway versions are v=9 and v=10."
	}
	encoding, ok := wire.ParseEncoding(h.Encoding)
	if !ok {
		return BadEncoding, fmt.Sprintf("encoding=%.20s is neither json nor etf.", h.Encoding)
	}
	compression, ok := wire.ParseCompression(h.Compress)
	if !ok {
		return BadEncoding, fmt.Sprintf("compress=%.20s is neither zlib-stream nor zstd-stream.",
			h.Compress)
	}
	k.variant, k.compression = wire.VariantOf(encoding, compression), compression
	return 0, ""
}
