package replica

import (
	"errors"

	"throng/node/cluster"
)

// Log is what is wanted of a log; cluster.Log is one.
type Log interface {
	// Publish lines a batch up and does not wait. When it returns an error nothing is stored and
	// Done is not called.
	Publish(cluster.Batch) error
}

// Errors that a caller of Directory may ask for with errors.Is, beside those of store and
// cluster.ErrLogUnknown: whoever asked must not take it for done, and it may be found done.
var (
	// ErrUnavailable: nothing is stored, and it may be tried again later.
	ErrUnavailable = errors.New("the log takes no changes now")
	// ErrFenced: this node has not joined, or others have declared it gone. It must join anew.
	ErrFenced = errors.New("this node may not write to the log")
	// ErrNotApplied: it is stored, and this node's own store is behind.
	ErrNotApplied = errors.New("the change is stored, and not applied here yet")
	// ErrOtherLog: the log was deleted and made anew, or is another cluster's.
	ErrOtherLog = errors.New("the data is of another log")
	// ErrAlone: the store holds what a node without others has written. See Import.
	ErrAlone = errors.New("the data is of a node that was alone")
)
