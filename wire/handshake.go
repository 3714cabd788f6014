package wire

import (
	"bytes"
	"encoding/base64"
)

// Handshake is what an opening handshake asks for. Its strings share no memory with the buffer.
type Handshake struct {
	Path string // As sent, without the query; may be empty. Every path is a gateway.

	// Version, Encoding and Compress are the query values v, encoding and compress, decoded and not
	// judged. Version is 0 when absent and -1 when it is not a number.
	Version            int
	Encoding, Compress string

	Host, Key         string // Key is to be given to AppendHandshakeReply.
	Origin, UserAgent string // Empty when absent.
}

// HandshakeError refuses a handshake: an HTTP status and one sentence for whoever reads it.
type HandshakeError struct {
	Status int
	Reason string
}

func (e *HandshakeError) Error() string { return "handshake: " + e.Reason }

// One error per rule, made once, as in check.go.
var (
	errHandshakeStart    = badRequest("This is not an HTTP request.")
	errHandshakeBareLF   = badRequest("A line ends in a bare line feed.")
	errHandshakeLine     = badRequest("The request line is malformed.")
	errHandshakeTarget   = badRequest("The request target is malformed.")
	errHandshakeEscape   = badRequest("The request target has a broken percent escape.")
	errHandshakeHTTP     = badRequest("A WebSocket handshake needs HTTP/1.1.")
	errHandshakeHeader   = badRequest("A header line is malformed.")
	errHandshakeHost     = badRequest("The Host header is missing or malformed.")
	errHandshakeRepeated = badRequest("A header that must be there once is repeated.")
	errHandshakeBody     = badRequest("A WebSocket handshake has no body.")
	errHandshakeConn     = badRequest("The Connection header does not name Upgrade.")
	errHandshakeKey      = badRequest("Sec-WebSocket-Key must be 16 bytes in base64.")
	errHandshakeNoVer    = badRequest("The Sec-WebSocket-Version header is missing.")

	errHandshakeMethod  = &HandshakeError{405, "A WebSocket handshake is a GET request."}
	errHandshakeUpgrade = &HandshakeError{426, "This is a WebSocket gateway: ask for an upgrade."}
	errHandshakeVersion = &HandshakeError{426, "This gateway speaks WebSocket version 13."}
	errHandshakeBytes   = &HandshakeError{431, "The request header is too large."}
	errHandshakeHeaders = &HandshakeError{431, "The request has too many header lines."}
)

func badRequest(reason string) *HandshakeError { return &HandshakeError{400, reason} }

// ParseHandshake reads an opening handshake from the front of buf (RFC 6455 4.2.1). consumed is 0
// with a nil error while the empty line that ends it has not arrived. How the bytes are cut into
// calls never changes the result, and offering them again costs one search for line feeds in at
// most HeaderBytes.
//
// What client libraries do differently from each other is accepted: any path, none, or an
// absolute URI; unknown query keys; header names in any case; "Connection: keep-alive, Upgrade";
// offers of extensions and subprotocols, of which none is ever taken. What smuggles, repeats or
// is cut short is refused.
func ParseHandshake(buf []byte, l Limits) (h Handshake, consumed int, err *HandshakeError) {
	end, err := headerEnd(buf, l)
	if err != nil || end == 0 {
		return Handshake{}, 0, err
	}
	line, rest := cutLine(buf[:end])
	r := request{}
	if err := r.requestLine(line); err != nil {
		return Handshake{}, 0, err
	}
	for {
		if line, rest = cutLine(rest); len(line) == 0 {
			break
		}
		if err := r.headerLine(line); err != nil {
			return Handshake{}, 0, err
		}
	}
	if err := r.check(); err != nil {
		return Handshake{}, 0, err
	}
	h, err = r.handshake()
	if err != nil {
		return Handshake{}, 0, err
	}
	return h, end, nil
}

// headerEnd returns where the empty line ends that ends the header, or 0 when it has not arrived.
// It looks at the bytes in their order and no further than the limit, so that what it says of a
// request does not depend on how much of it has come.
func headerEnd(buf []byte, l Limits) (int, *HandshakeError) {
	whole := len(buf) < l.HeaderBytes
	buf = buf[:min(len(buf), max(l.HeaderBytes, 0))]
	if len(buf) > 0 && !tokenByte(buf[0]) {
		// A TLS ClientHello or another protocol is not worth waiting for the end of.
		return 0, errHandshakeStart
	}
	for start, lines := 0, 0; ; lines++ {
		n := bytes.IndexByte(buf[start:], '\n')
		if n < 0 {
			break
		}
		lf := start + n
		if lf == 0 || buf[lf-1] != '\r' {
			// Line ends are CRLF. To take less invites two readers of one request to disagree
			// about where it ends. RFC 9112 2.2.
			return 0, errHandshakeBareLF
		}
		if n == 1 {
			return lf + 1, nil
		}
		if lines > l.Headers {
			return 0, errHandshakeHeaders
		}
		start = lf + 1
	}
	if !whole {
		return 0, errHandshakeBytes
	}
	return 0, nil
}

// cutLine cuts the first line off b. REQUIRES: b has a CRLF, as headerEnd has seen.
func cutLine(b []byte) (line, rest []byte) {
	lf := bytes.IndexByte(b, '\n')
	return b[:lf-1], b[lf+1:]
}

// request gathers what the lines say, as slices of the buffer, before it is judged as a whole.
type request struct {
	path, query []byte
	authority   []byte // Of an absolute URI; it takes the place of Host. RFC 9112 3.2.2.

	host, key, version, origin, agent field

	upgrade, connection bool // The header names "websocket", "Upgrade".
}

// field is a header that is expected once at most.
type field struct {
	value []byte
	given bool
}

func (f *field) set(value []byte) *HandshakeError {
	if f.given {
		return errHandshakeRepeated
	}
	f.value, f.given = value, true
	return nil
}

// requestLine reads "GET target HTTP/1.1" (RFC 9112 3). RFC 6455 4.2.1 item 1.
func (r *request) requestLine(line []byte) *HandshakeError {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok || !ok2 || !token(method) || len(target) == 0 {
		return errHandshakeLine
	}
	if string(method) != "GET" {
		return errHandshakeMethod
	}
	if string(version) != "HTTP/1.1" {
		return errHandshakeHTTP
	}
	for _, c := range target {
		// Neither controls nor a fragment (RFC 6455 3); a blank was cut at, or is in version.
		if c <= ' ' || c == 0x7F || c == '#' {
			return errHandshakeTarget
		}
	}
	return r.target(target)
}

// target cuts the request target into its parts. An absolute URI is allowed by RFC 6455 4.1 item
// 2, and must be understood by every server (RFC 9112 3.2.2).
func (r *request) target(target []byte) *HandshakeError {
	target, r.query, _ = bytes.Cut(target, []byte{'?'})
	if len(target) > 0 && target[0] != '/' {
		scheme, rest, ok := bytes.Cut(target, []byte("://"))
		if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
			return errHandshakeTarget
		}
		slash := bytes.IndexByte(rest, '/')
		if slash < 0 {
			slash = len(rest)
		}
		r.authority, target = rest[:slash], rest[slash:]
		if !validHost(r.authority) {
			return errHandshakeTarget
		}
	}
	r.path = target
	if _, ok := unescape(nil, r.path, false); !ok {
		return errHandshakeEscape
	}
	return nil
}

// headerLine reads "name: value" (RFC 9112 5). A line that begins with a blank would fold into
// the one before it and is refused (RFC 9112 5.2), as is a blank before the colon (RFC 9112 5.1).
func (r *request) headerLine(line []byte) *HandshakeError {
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || !token(name) {
		return errHandshakeHeader
	}
	value = bytes.Trim(value, " \t")
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7F {
			return errHandshakeHeader
		}
	}
	switch len(name) { // The length alone settles most of a browser's headers.
	case len("Host"):
		if equalFold(name, "host") {
			return r.host.set(value)
		}
	case len("Origin"):
		if equalFold(name, "origin") {
			return r.origin.set(value)
		}
	case len("Upgrade"):
		if equalFold(name, "upgrade") {
			r.upgrade = r.upgrade || listHas(value, "websocket")
		}
	case len("Connection"): // As long as User-Agent.
		if equalFold(name, "connection") {
			r.connection = r.connection || listHas(value, "upgrade")
		} else if equalFold(name, "user-agent") && !r.agent.given {
			return r.agent.set(value)
		}
	case len("Content-Length"):
		if equalFold(name, "content-length") && string(value) != "0" {
			return errHandshakeBody
		}
	case len("Sec-WebSocket-Key"): // As long as Transfer-Encoding.
		if equalFold(name, "sec-websocket-key") {
			return r.key.set(value)
		} else if equalFold(name, "transfer-encoding") {
			return errHandshakeBody
		}
	case len("Sec-WebSocket-Version"):
		if equalFold(name, "sec-websocket-version") {
			return r.version.set(value)
		}
	}
	return nil
}

// check judges the headers together. RFC 6455 4.2.1; the numbers are those of its list.
func (r *request) check() *HandshakeError {
	var key [keyBytes + 2]byte // The decoder counts on room for the padding.
	switch {
	case !r.host.given || !validHost(r.host.value):
		return errHandshakeHost // 2.
	case !r.upgrade:
		return errHandshakeUpgrade // 3. RFC 9110 15.5.22.
	case !r.connection:
		return errHandshakeConn // 4.
	case len(r.key.value) != base64.StdEncoding.EncodedLen(keyBytes):
		return errHandshakeKey // 5.
	case !r.version.given:
		return errHandshakeNoVer // 6.
	case string(r.version.value) != "13":
		return errHandshakeVersion // 6, and RFC 6455 4.4.
	}
	n, err := base64.StdEncoding.Decode(key[:], r.key.value)
	if err != nil || n != keyBytes {
		return errHandshakeKey // 5.
	}
	return nil
}

// handshake copies out of the buffer what is wanted of a request that has passed.
func (r *request) handshake() (Handshake, *HandshakeError) {
	host := r.host.value
	if len(r.authority) > 0 {
		host = r.authority
	}
	h := Handshake{
		Path:      string(r.path),
		Host:      string(host),
		Key:       string(r.key.value),
		Origin:    string(r.origin.value),
		UserAgent: string(r.agent.value),
	}
	return h, h.readQuery(r.query)
}
