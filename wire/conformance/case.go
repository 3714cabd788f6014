package conformance

import "throng/wire"

// Verdict grades how a server did in one case.
type Verdict uint8

const (
	Failed Verdict = iota
	// OK is what the case asks for.
	OK
	// NonStrict is allowed by the RFC but not the best: a fault found late, a reply lost to it.
	NonStrict
	// Informational is the verdict of a case in which the RFC leaves open what should happen.
	Informational
)

func (v Verdict) String() string {
	return [...]string{"FAILED", "OK", "NON-STRICT", "INFORMATIONAL"}[v]
}

// Reply is one thing that the server says before it closes: an echoed message or a pong.
type Reply struct {
	Opcode  wire.Opcode
	Payload string
}

// Closing says who is to close the connection.
type Closing uint8

const (
	// ClosingByClient: the client sends a normal close once it has all replies.
	ClosingByClient Closing = iota
	// ClosingInSteps: the steps contain the client's close frame.
	ClosingInSteps
	// ClosingByServer: the server has to fail the connection.
	ClosingByServer
)

// Step is what the client sends in one go.
type Step struct {
	Bytes []byte
	// Chop is the size of the pieces when it is part of the case; 0 is one piece.
	Chop int
	// Await is the number of replies after which the next step goes out, those of earlier steps
	// included. A step that is to fail the connection awaits the close: AwaitClose.
	Await int
}

// AwaitClose in a Step says that the server must close before the client sends any more.
const AwaitClose = -1

// Case is one row of the table.
type Case struct {
	ID    string
	About string
	Steps []Step
	// Replies are what the server must answer before the close.
	Replies []Reply
	// Lossy says that a server may fail the connection before it has sent the replies, which is
	// NonStrict.
	Lossy   bool
	Closing Closing
	// Codes are the close codes that the server may send. CloseNoStatus stands for a close
	// without one.
	Codes []wire.CloseCode
	// Clean says that a close frame must come; otherwise to drop the connection is NonStrict.
	Clean bool
	// Open says that the RFC does not settle the outcome: whatever happens is Informational.
	Open bool
}

// MessageBytesMax is the longest message in the table. A server under test has to allow it.
const MessageBytesMax = 256 << 10

// FragmentsMax is the largest number of fragments of a message in the table. A server has to
// allow it.
const FragmentsMax = 64

// Limits are those that a server under test has to run with.
func Limits() wire.Limits {
	return wire.Limits{
		HeaderBytes:  4096,
		Headers:      64,
		MessageBytes: MessageBytesMax,
		Fragments:    FragmentsMax,
	}
}

// Group is the number of a case's group: what stands before the first dot.
func (c Case) Group() string {
	for i := range len(c.ID) {
		if c.ID[i] == '.' {
			return c.ID[:i]
		}
	}
	return c.ID
}
