package cluster

import (
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// verdict is what an answer says of an attempt.
type verdict uint8

const (
	verdictNone     verdict = iota // Nothing: the servers may have stored it, or yet store it.
	verdictStored                  // It is stored.
	verdictHere                    // An earlier attempt is stored; where, the answer does not say.
	verdictConflict                // The fence has another last message.
	verdictBusy                    // It was not stored, and may be when it comes again.
	verdictRefused                 // It was not stored, and never will be.
)

// Errors of servers that their client has no names for.
const (
	// While a message that expects the last one of a subject is on its way to most servers, every
	// other that expects that one or writes it is refused with this; when it really is another one,
	// they say which it is, with JSErrCodeStreamWrongLastSequence. A batch that writes a subject
	// first and then expects it gets this too, which no batch of ours does.
	codeInProcess = jetstream.JSErrCodeStreamWrongLastSequenceConstant
	// The id is that of a message which is on its way to most servers.
	codeDuplicateInProcess jetstream.ErrorCode = 10158
	// A part of the batch did not arrive, or too late, or at another leader.
	codeBatchIncomplete jetstream.ErrorCode = 10176
	// A message of the batch has the id of one that is stored.
	codeBatchDuplicate jetstream.ErrorCode = 10201

	statusTooMany = 429 // Requests, or batches, at a time.
)

var errNotSent = errors.New("not all of it was sent")

// judge reads an answer.
func judge(err error) verdict {
	var refused *jetstream.APIError
	switch {
	case err == nil:
		return verdictStored
	case errors.Is(err, nats.ErrMaxPayload):
		return verdictRefused
	case errors.Is(err, errNotSent), errors.Is(err, nats.ErrReconnectBufExceeded),
		errors.Is(err, jetstream.ErrNoStreamResponse):
		return verdictBusy
	case !errors.As(err, &refused) || refused.Code >= 500:
		return verdictNone
	}
	switch refused.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence:
		return verdictConflict
	case codeBatchDuplicate:
		return verdictHere
	case codeInProcess, codeDuplicateInProcess, codeBatchIncomplete:
		return verdictBusy
	}
	if refused.Code == statusTooMany {
		return verdictBusy
	}
	return verdictRefused
}
