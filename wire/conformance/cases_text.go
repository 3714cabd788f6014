package conformance

import (
	"strconv"
	"strings"

	"throng/wire"
)

const (
	// greek is a valid text of five characters in eleven octets, ending at those of greekBounds.
	greek = "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5"
	// umlauts is another one, most of it in sequences of two.
	umlauts = "Hello-\u00B5@\u00DF\u00F6\u00E4\u00FC\u00E0\u00E1-UTF-8!!"

	surrogate  = "\xED\xA0\x80"     // U+D800.
	outOfRange = "\xF4\x90\x80\x80" // What would be U+110000.
)

var greekBounds = [...]int{2, 5, 7, 9, 11}

// texts is group 6: validity of UTF-8 as RFC 3629 defines it, in one frame and over fragments.
func texts() []Case {
	more := func(op wire.Opcode, payload string) frame {
		return frame{op: op, more: true, payload: payload}
	}
	last := func(payload string) frame { return frame{op: continuation, payload: payload} }
	middle := "middle frame payload"
	half := strings.Index(umlauts, "\u00FC")
	invalid := greek + surrogate + "edited"
	all := []Case{
		echoed("6.1.1", "empty text", []Reply{{text, ""}}, step(frame{op: text})),
		echoed("6.1.2", "empty text in three fragments", []Reply{{text, ""}},
			step(more(text, ""), more(continuation, ""), last(""))),
		echoed("6.1.3", "first and last of three fragments empty", []Reply{{text, middle}},
			step(more(text, ""), more(continuation, middle), last(""))),
		echoed("6.2.1", "valid text in one frame", []Reply{{text, umlauts}},
			step(frame{op: text, payload: umlauts})),
		echoed("6.2.2", "valid text cut between characters", []Reply{{text, umlauts}},
			step(more(text, umlauts[:half]), last(umlauts[half:]))),
		echoed("6.2.3", "valid text in fragments of one octet", []Reply{{text, umlauts}},
			step(fragmented(text, umlauts, 1)...)),
		echoed("6.2.4", "valid Greek text in fragments of one octet", []Reply{{text, greek}},
			step(fragmented(text, greek, 1)...)),
		failed("6.3.1", "surrogate in one frame", wire.CloseInvalidPayload, nil,
			step(frame{op: text, payload: invalid})),
		failed("6.3.2", "surrogate in fragments of one octet", wire.CloseInvalidPayload, nil,
			step(fragmented(text, invalid, 1)...)),
	}
	return append(append(all, failFast()...), sequences()...)
}

// failFast is 6.4: the client waits for the connection to be failed as soon as the text cannot
// become valid.
func failFast() []Case {
	payload := greek + outOfRange + "edited"
	whole := frame{op: text, payload: payload}
	apart := func(a, b int) []Step {
		s := steps(frame{op: text, more: true, payload: payload[:a]},
			frame{op: continuation, more: true, payload: payload[a:b]},
			frame{op: continuation, payload: payload[b:]})
		s[1].Await = AwaitClose
		return s
	}
	chops := func(a, b int) []Step {
		s := cut(whole, a, b)
		s[1].Await = AwaitClose
		return s
	}
	// The octet that settles it is the second of the sequence. It is alone in the second fragment
	// of 6.4.2 and the second piece of 6.4.4.
	start, settled := len(greek), len(greek)+1
	bad := func(id, about string, s []Step) Case {
		return failed(id, about, wire.CloseInvalidPayload, nil, s...)
	}
	return []Case{
		bad("6.4.1", "second of three fragments is out of range", apart(start, start+4)),
		bad("6.4.2", "second fragment is the octet that settles it", apart(settled, settled+1)),
		bad("6.4.3", "as 6.4.1 but pieces of one frame", chops(start, start+4)),
		bad("6.4.4", "as 6.4.2 but pieces of one frame", chops(settled, settled+1)),
	}
}

// sequenceRow is a run of cases of one subgroup.
type sequenceRow struct {
	subgroup int
	about    string
	valid    bool
	payloads []string
}

// sequences is 6.5 to 6.23, one text in one frame each, after Markus Kuhn's decoder stress test.
func sequences() (all []Case) {
	number, subgroup := 0, 0
	for _, row := range sequenceRows() {
		if row.subgroup != subgroup {
			number, subgroup = 0, row.subgroup
		}
		for _, payload := range row.payloads {
			number++
			id := "6." + strconv.Itoa(subgroup) + "." + strconv.Itoa(number)
			s := step(frame{op: text, payload: payload})
			if row.valid {
				all = append(all, echoed(id, row.about, []Reply{{text, payload}}, s))
				continue
			}
			all = append(all, failed(id, row.about, wire.CloseInvalidPayload, nil, s))
		}
	}
	return all
}

func sequenceRows() []sequenceRow {
	rows := []sequenceRow{{5, "valid text", true, []string{
		"hello\x24world", "hello\xC2\xA2world", "hello\xE2\x82\xACworld",
		"hello\xF0\xA4\xAD\xA2world", greek}}}
	from := 1
	for _, bound := range greekBounds {
		var unfinished []string
		for ; from < bound; from++ {
			unfinished = append(unfinished, greek[:from])
		}
		rows = append(rows,
			sequenceRow{6, "text that ends inside a character", false, unfinished},
			sequenceRow{6, "text that ends after a character", true, []string{greek[:bound]}})
		from = bound + 1
	}
	return append(append(append(rows, boundaryRows()...), malformedRows()...),
		sequenceRow{22, "non-character, which is valid", true, nonCharacters()},
		sequenceRow{23, "Unicode special", true, []string{
			"\uFFF9", "\uFFFA", "\uFFFB", "\uFFFC", "\uFFFD", "\uFFFE", "\uFFFF"}})
}

// boundaryRows are the first and last sequences of each length, those that RFC 3629 took away
// included.
func boundaryRows() []sequenceRow {
	return []sequenceRow{
		{7, "first sequence of its length", true, []string{
			"\x00", "\xC2\x80", "\xE0\xA0\x80", "\xF0\x90\x80\x80"}},
		{8, "first sequence of five or six octets", false, []string{
			"\xF8\x88\x80\x80\x80", "\xFC\x84\x80\x80\x80\x80"}},
		{9, "last sequence of its length", true, []string{
			"\x7F", "\xDF\xBF", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"}},
		{10, "last sequence of four, five or six octets", false, []string{
			"\xF7\xBF\xBF\xBF", "\xFB\xBF\xBF\xBF\xBF", "\xFD\xBF\xBF\xBF\xBF\xBF"}},
		{11, "next to a boundary", true, []string{
			"\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBD", "\xF4\x8F\xBF\xBF"}},
		{11, "beyond the last boundary", false, []string{outOfRange}},
	}
}

// malformedRows break the rules of how octets follow each other, or spell a character at more
// length than it needs, or spell half of a UTF-16 pair.
func malformedRows() []sequenceRow {
	alternating := strings.Repeat("\x80\xBF", 3)
	strayed := []string{"\x80", "\xBF"}
	for n := 2; n <= len(alternating); n++ {
		strayed = append(strayed, alternating[:n])
	}
	strayed = append(strayed, span(0x80, 0xBF, ""))
	missing := []string{
		"\xC0", "\xE0\x80", "\xF0\x80\x80", "\xF8\x80\x80\x80", "\xFC\x80\x80\x80\x80",
		"\xDF", "\xEF\xBF", "\xF7\xBF\xBF", "\xFB\xBF\xBF\xBF", "\xFD\xBF\xBF\xBF\xBF"}
	return []sequenceRow{
		{12, "continuation octets alone", false, strayed},
		{13, "start octets alone", false, []string{span(0xC0, 0xDF, " "), span(0xE0, 0xEF, " "),
			span(0xF0, 0xF7, " "), span(0xF8, 0xFB, " "), span(0xFC, 0xFD, " ")}},
		{14, "last octet missing", false, missing},
		{15, "unfinished sequences in a row", false, []string{strings.Join(missing, "")}},
		{16, "impossible octets", false, []string{"\xFE", "\xFF", "\xFE\xFE\xFF\xFF"}},
		{17, "overlong slash", false, []string{"\xC0\xAF", "\xE0\x80\xAF", "\xF0\x80\x80\xAF",
			"\xF8\x80\x80\x80\xAF", "\xFC\x80\x80\x80\x80\xAF"}},
		{18, "longest overlong sequence", false, []string{"\xC1\xBF", "\xE0\x9F\xBF",
			"\xF0\x8F\xBF\xBF", "\xF8\x87\xBF\xBF\xBF", "\xFC\x83\xBF\xBF\xBF\xBF"}},
		{19, "overlong NUL", false, []string{"\xC0\x80", "\xE0\x80\x80", "\xF0\x80\x80\x80",
			"\xF8\x80\x80\x80\x80", "\xFC\x80\x80\x80\x80\x80"}},
		{20, "surrogate", false, []string{surrogate, "\xED\xAD\xBF", "\xED\xAE\x80",
			"\xED\xAF\xBF", "\xED\xB0\x80", "\xED\xBE\x80", "\xED\xBF\xBF"}},
		{21, "surrogate pair", false, []string{
			"\xED\xA0\x80\xED\xB0\x80", "\xED\xA0\x80\xED\xBF\xBF",
			"\xED\xAD\xBF\xED\xB0\x80", "\xED\xAD\xBF\xED\xBF\xBF",
			"\xED\xAE\x80\xED\xB0\x80", "\xED\xAE\x80\xED\xBF\xBF",
			"\xED\xAF\xBF\xED\xB0\x80", "\xED\xAF\xBF\xED\xBF\xBF"}},
	}
}

// span spells the octets from first up to but without end, each followed by after.
func span(first, end byte, after string) string {
	var b strings.Builder
	for c := first; c < end; c++ {
		b.WriteByte(c)
		b.WriteString(after)
	}
	return b.String()
}

// nonCharacters are the last two code points of each of the 17 planes.
func nonCharacters() (all []string) {
	for plane := range rune(17) {
		all = append(all, string(plane<<16|0xFFFE), string(plane<<16|0xFFFF))
	}
	return all
}
