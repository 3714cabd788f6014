package cluster

import "time"

// Identity tells this log from one of the same name that was deleted, and from another cluster's:
// when its stream was made.
func (l *Log) Identity() string {
	return l.stream + " " + l.handle.CachedInfo().Created.UTC().Format(time.RFC3339Nano)
}
