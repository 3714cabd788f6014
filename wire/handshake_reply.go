package wire

import (
	"crypto/sha1"
	"encoding/base64"
	"strconv"
)

const (
	// keyBytes is the size of the nonce in Sec-WebSocket-Key. RFC 6455 4.1 item 7.
	keyBytes = 16
	// acceptGUID follows the key in the digest that proves this to be a WebSocket server. RFC
	// 6455 1.3.
	acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// AppendAccept appends the Sec-WebSocket-Accept that answers a key. RFC 6455 4.2.2 item 5.4.
func AppendAccept(dst []byte, key string) []byte {
	var text [64]byte
	sum := sha1.Sum(append(append(text[:0], key...), acceptGUID...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// AppendHandshakeReply appends the answer that opens the connection (RFC 6455 4.2.2 item 5). It
// takes neither an extension nor a subprotocol.
func AppendHandshakeReply(dst []byte, key string) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\n"+
		"Upgrade: websocket\r\n"+
		"Connection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "...)
	dst = AppendAccept(dst, key)
	return append(dst, "\r\n\r\n"...)
}

// AppendHandshakeRefusal appends the answer to a handshake that is not taken, its reason as the
// body. The connection is to be closed after it. A status that has no name here goes out as 500.
func AppendHandshakeRefusal(dst []byte, e *HandshakeError) []byte {
	status, name := e.Status, statusName(e.Status)
	if name == "" {
		status, name = 500, statusName(500)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, name...)
	switch status {
	case 405:
		dst = append(dst, "\r\nAllow: GET"...) // RFC 9110 15.5.6.
	case 426:
		// What to upgrade to, and that it is for this connection: RFC 9110 15.5.22, 7.8. The
		// version is for a client that speaks another one: RFC 6455 4.4.
		dst = append(dst, "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"...)
		dst = append(dst, "\r\nConnection: close, Upgrade"...)
	}
	if status != 426 {
		dst = append(dst, "\r\nConnection: close"...)
	}
	dst = append(dst, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(e.Reason))+1, 10)
	dst = append(dst, "\r\n\r\n"...)
	dst = append(dst, e.Reason...)
	return append(dst, '\n')
}

// statusName names the statuses that a gateway refuses with.
func statusName(status int) string {
	switch status {
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 426:
		return "Upgrade Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 503:
		return "Service Unavailable"
	}
	return ""
}
