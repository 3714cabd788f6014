package wire

import "slices"

// Frames of the server that are no dispatch, complete with their WebSocket header, in the
// variant of the connection. Their d is always there, null where it says nothing, since some
// clients fail without it; s and t are null.

const (
	controlHead = `{"op":`
	controlBody = `,"d":`
	controlTail = `,"s":null,"t":null}`
)

// controlBytesTypical holds every control payload but a hello with a long trace.
const controlBytesTypical = 160

// AppendHello appends the first frame of a connection, which begins its compressed stream if it
// has one, with a window of so many bytes for zstd. Trace names who serves it.
func AppendHello(dst []byte, v Variant, heartbeatMilli int, trace string, window int) []byte {
	var buf [controlBytesTypical]byte
	d := append(buf[:0], '{')
	d = AppendInt(AppendKey(d, "heartbeat_interval"), int64(heartbeatMilli))
	d = append(AppendKey(d, "_trace"), '[')
	d = AppendString(d, string(appendTrace(nil, trace)))
	d = append(d, ']', '}')
	if v.Compression() == CompressionZstd {
		var head [zstdFrameHeaderBytes]byte
		return appendLesson(dst, v, appendZstdHeader(head[:0], window),
			controlText(nil, v, OpHello, d))
	}
	return appendControl(dst, v, OpHello, d)
}

// appendTrace appends the form that clients are used to find in _trace: JSON within a string.
func appendTrace(dst []byte, name string) []byte {
	dst = AppendString(append(dst, '['), name)
	return append(dst, ",{}]"...)
}

// AppendHeartbeatAck appends the answer to a heartbeat.
func AppendHeartbeatAck(dst []byte, v Variant) []byte {
	return appendControl(dst, v, OpHeartbeatAck, nil)
}

// AppendHeartbeatRequest appends the demand for a heartbeat at once.
func AppendHeartbeatRequest(dst []byte, v Variant) []byte {
	return appendControl(dst, v, OpHeartbeat, nil)
}

// AppendReconnect appends the demand to connect anew and resume.
func AppendReconnect(dst []byte, v Variant) []byte {
	return appendControl(dst, v, OpReconnect, nil)
}

// AppendInvalidSession appends that the session is not there for now (resumable), or for good.
func AppendInvalidSession(dst []byte, v Variant, resumable bool) []byte {
	var buf [8]byte
	return appendControl(dst, v, OpInvalidSession, AppendBool(buf[:0], resumable))
}

// AppendLesson appends an answer to a heartbeat that teaches a zstd stream anew what HELLO did.
func AppendLesson(dst []byte, v Variant) []byte {
	return appendLesson(dst, v, nil, controlText(nil, v, OpHeartbeatAck, nil))
}

// appendControl appends a frame of op with d as JSON, nil meaning null.
func appendControl(dst []byte, v Variant, op Op, d []byte) []byte {
	if v == 0 {
		var buf [2 * controlBytesTypical]byte
		return AppendFrame(dst, OpcodeText, controlJSON(buf[:0], op, d))
	}
	dst, start := openFrame(dst)
	c := v.Compression()
	if op == OpHello && c == CompressionZlib {
		dst = append(dst, zlibHeader...)
	}
	from := len(dst)
	dst = controlText(dst, v, op, d)
	if c != CompressionNone {
		// These are a few bytes that no compressor makes fewer.
		text := dst[from:]
		dst = slices.Delete(appendStored(dst, text, c, true), from, from+len(text))
	}
	dst, _ = closeFrame(dst, start, OpcodeBinary)
	return dst
}

// controlText appends the text of a frame of op.
func controlText(dst []byte, v Variant, op Op, d []byte) []byte {
	start := len(dst)
	dst = controlJSON(dst, op, d)
	if v.Encoding() == EncodingETF {
		// The term is made behind the text, and takes its place.
		text := dst[start:]
		term, err := AppendETF(append(dst, etfVersion), text)
		if err != nil {
			panic("wire: control frame: " + err.Error())
		}
		dst = slices.Delete(term, start, start+len(text))
	}
	return dst
}

func controlJSON(dst []byte, op Op, d []byte) []byte {
	dst = AppendInt(append(dst, controlHead...), int64(op))
	dst = append(dst, controlBody...)
	if d == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, d...)
	}
	return append(dst, controlTail...)
}
