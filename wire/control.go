package wire

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
// has one. Trace names who serves it.
func AppendHello(dst []byte, v Variant, heartbeatMilli int, trace string) []byte {
	var buf [controlBytesTypical]byte
	d := append(buf[:0], '{')
	d = AppendInt(AppendKey(d, "heartbeat_interval"), int64(heartbeatMilli))
	d = append(AppendKey(d, "_trace"), '[')
	d = AppendString(d, string(appendTrace(nil, trace)))
	d = append(d, ']', '}')
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

// appendControl appends a frame of op with d as JSON, nil meaning null.
func appendControl(dst []byte, v Variant, op Op, d []byte) []byte {
	var buf [2 * controlBytesTypical]byte
	payload := append(buf[:0], controlHead...)
	payload = AppendInt(payload, int64(op))
	payload = append(payload, controlBody...)
	if d == nil {
		payload = append(payload, "null"...)
	} else {
		payload = append(payload, d...)
	}
	payload = append(payload, controlTail...)
	c := v.Compression()
	if v == 0 {
		return AppendFrame(dst, OpcodeText, payload)
	}
	dst, start := openFrame(dst)
	if v.Encoding() == EncodingETF {
		term := len(dst)
		var err error
		if dst, err = AppendETF(append(dst, etfVersion), payload); err != nil {
			panic("wire: control frame: " + err.Error())
		}
		payload = append(payload[:0], dst[term:]...)
		dst = dst[:term]
	}
	if c == CompressionNone {
		dst, _ = closeFrame(append(dst, payload...), start, OpcodeBinary)
		return dst
	}
	// These are a few bytes that no compressor makes fewer.
	if op == OpHello {
		dst = append(dst, StreamHeader(c)...)
	}
	dst, _ = closeFrame(appendStored(dst, payload, c, true), start, OpcodeBinary)
	return dst
}
