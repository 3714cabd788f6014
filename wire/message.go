package wire

// strippedValue knows the fields of a message that MESSAGE_CONTENT opens, with what those get
// who lack it. A field without a value is left out.
func strippedValue(key string) (value string, gated bool) {
	switch key {
	case "content":
		return `""`, true
	case "embeds", "attachments", "components":
		return `[]`, true
	case "poll":
		return "", true
	}
	return "", false
}

// StripMessage is a copy of a message without what MESSAGE_CONTENT opens. It is nil when there
// is nothing to take away, so that one body will do for everybody. Every occurrence of a key
// counts: a reader that lets the last one win must not find the content there.
func StripMessage(d []byte) []byte {
	if !hasGatedContent(d) {
		return nil
	}
	out := append(make([]byte, 0, len(d)), '{')
	for i := 0; ; {
		m, next, ok := nextMember(d, i)
		if !ok {
			return append(out, '}')
		}
		i = next
		value, gated := strippedValue(keyOf(m.key))
		switch {
		case !gated:
			out = appendMember(out, m.key, m.value)
		case value != "":
			out = append(AppendKey(out, keyOf(m.key)), value...)
		}
	}
}

func hasGatedContent(d []byte) bool {
	found := false
	EachField(d, func(key string, raw []byte) bool {
		value, gated := strippedValue(key)
		found = gated && value != string(raw)
		return !found
	})
	return found
}
