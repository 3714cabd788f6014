package push

import (
	"context"
	"time"
)

// Sink is where pushes go.
type Sink interface {
	// Connect opens one of the connections. It does not wait for the other side, which may be away
	// for a while; an error is one of configuration.
	Connect() (Conn, error)
	// BatchMax is how many pushes one Send carries at most. A connection has as many Sends under
	// way as its credits pay for.
	BatchMax() int
	// String names the sink for people, without a password.
	String() string
}

// Conn is one connection to a sink.
type Conn interface {
	// Send tries once and returns the answer. It is called by several goroutines, returns soon
	// after ctx has ended, and neither keeps nor changes the batch.
	Send(ctx context.Context, batch []Push) Answer
	Close()
}

// Answer is what came of a try.
type Answer struct {
	Result Result
	// Pause is what the sink asks for with Later, before anything else is sent on the connection.
	Pause time.Duration
	Err   error // Why, for the log. Nil with Sent.
}

// Result sorts answers by what follows from them.
type Result uint8

const (
	Sent    Result = iota // The sink has taken all of it.
	Later                 // The sink wants a pause, and all of it again after that.
	Failed                // Nobody knows, or the sink is at fault: again.
	Refused               // The sink will never take it.
	resultCount
)

var resultNames = [resultCount]string{"sent", "later", "failed", "refused"}

func (r Result) String() string { return resultNames[r] }

// DropReason says why a push reached nobody.
type DropReason uint8

const (
	DropOmitted DropReason = iota // The message mentions more users than are looked up.
	DropShed                      // The buffer was full, and it was the oldest in it.
	DropExpired                   // It was too old when its turn came, or its next try.
	DropRefused                   // The sink refused it.
	DropFailed                    // It failed as often as it may.
	DropEnded                     // The node ended before the sink took it.
	dropReasonCount
)

var dropReasonNames = [dropReasonCount]string{"omitted", "shed", "expired", "refused", "failed",
	"ended"}

func (r DropReason) String() string { return dropReasonNames[r] }
