package store

import (
	"cmp"
	"math"
	"slices"
)

// recordRunMax: a new record moves half of a run on the average, here 12 KB.
const recordRunMax = 256

// recordList is the members of a guild in memory, ascending by user, in runs that are not empty.
type recordList struct {
	runs  [][]MemberRecord
	count int
}

// find returns where the user is, or where it would have to be put. There is at least one run.
func (l *recordList) find(user uint64) (run, at int, there bool) {
	run, there = slices.BinarySearchFunc(l.runs, user, func(r []MemberRecord, user uint64) int {
		return cmp.Compare(r[0].User, user)
	})
	if there {
		return run, 0, true
	}
	run = max(run-1, 0)
	at, there = slices.BinarySearchFunc(l.runs[run], user, func(m MemberRecord, user uint64) int {
		return cmp.Compare(m.User, user)
	})
	return run, at, there
}

// put adds or replaces a member, and says whether it is new.
func (l *recordList) put(m MemberRecord) (isNew bool) {
	if len(l.runs) == 0 {
		l.runs = append(l.runs, []MemberRecord{m})
		l.count++
		return true
	}
	run, at, there := l.find(m.User)
	if there {
		l.runs[run][at] = m
		return false
	}
	l.count++
	l.runs[run] = slices.Insert(l.runs[run], at, m)
	if r := l.runs[run]; len(r) > recordRunMax {
		half := slices.Clone(r[len(r)/2:])
		clear(r[len(r)/2:])
		l.runs[run] = r[:len(r)/2]
		l.runs = slices.Insert(l.runs, run+1, half)
	}
	return true
}

// delete removes a member, and says whether there was one.
func (l *recordList) delete(user uint64) bool {
	if len(l.runs) == 0 {
		return false
	}
	run, at, there := l.find(user)
	if !there {
		return false
	}
	l.count--
	l.runs[run] = slices.Delete(l.runs[run], at, at+1)
	if len(l.runs[run]) == 0 {
		l.runs = slices.Delete(l.runs, run, run+1)
	}
	return true
}

// between returns a copy of the members from first to last.
func (l *recordList) between(first, last uint64) []MemberRecord {
	if len(l.runs) == 0 {
		return nil
	}
	room := min(l.count, recordRunMax)
	if first == 0 && last == math.MaxUint64 {
		room = l.count
	}
	all := make([]MemberRecord, 0, room)
	for run, at, _ := l.find(first); run < len(l.runs); run, at = run+1, 0 {
		for _, m := range l.runs[run][at:] {
			if m.User > last {
				return all
			}
			all = append(all, m)
		}
	}
	return all
}
