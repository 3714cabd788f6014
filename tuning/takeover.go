package tuning

import "time"

// A process that takes over from another (node/takeover.go). No client meets these bounds, but for
// the pace at which it is sent away.
const (
	// TakeoverStartTimeout is for the new process to read its flags and to open what it is given.
	TakeoverStartTimeout = 30 * time.Second

	// TakeoverRequestsTimeout is for requests under way, which are not cut: a backend's writes that
	// go on for longer make the takeover fail. Those that only read, among them streams without an
	// end, are told to end after TakeoverReadsTimeout. A connection that has brought nothing for
	// TakeoverSilentTimeout is closed, and one whose client has not brought the rest of its
	// request, or not taken its answer, for TakeoverOwingTimeout: else strangers could forbid a
	// restart.
	TakeoverRequestsTimeout = 5 * time.Second
	TakeoverReadsTimeout    = 250 * time.Millisecond
	TakeoverSilentTimeout   = time.Second
	TakeoverOwingTimeout    = time.Second

	// TakeoverStillTimeout is for what is under way in the node to come to its end: joins of guilds
	// that are being read, writes to a slow disk. After TakeoverAnswersTimeout answers that are
	// not, to clients that read a list of members slowly, are given up with their sessions: all
	// others are served nothing meanwhile.
	TakeoverStillTimeout   = 10 * time.Second
	TakeoverAnswersTimeout = time.Second

	// TakeoverMoveTimeout is for all sessions and guilds to be where they go: twenty times what a
	// million sessions take.
	TakeoverMoveTimeout = 60 * time.Second

	// TakeoverPartBytes are sent at a time.
	TakeoverPartBytes = 1 << 20

	// TakeoverPartBytesMax is more than the largest part: a journal, or a relay.
	TakeoverPartBytesMax = 1 << 32

	// TakeoverRate is how many a second are sent to the new process, two processors of which take
	// in 20,000.
	TakeoverRate = 10_000
)
