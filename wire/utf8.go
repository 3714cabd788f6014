package wire

import "unicode/utf8"

// validPrefix reports whether b can be the beginning of valid UTF-8, and how many of its octets
// form whole code points. The rest, three octets at most, is the beginning of one that is still
// to be completed.
//
// This is all that is needed to check a text in pieces: keep the rest, put it before the next
// piece. Nothing is looked at more than twice, and the bulk goes through utf8.Valid, which takes
// ASCII eight at a time; a state machine that goes octet by octet is some ten times slower. The
// bounds are those of RFC 3629: no surrogates, nothing above U+10FFFF, no overlong forms, and
// each of them is seen at its second octet.
func validPrefix(b []byte) (whole int, ok bool) {
	whole = len(b)
	for i := len(b) - 1; i >= 0 && i > len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			// FullRune is true of a sequence that can no longer become valid, which then fails
			// below.
			if !utf8.FullRune(b[i:]) {
				whole = i
			}
			break
		}
	}
	return whole, utf8.Valid(b[:whole])
}
