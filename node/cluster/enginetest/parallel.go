package enginetest

import (
	"flag"
	"strconv"
	"testing"
)

// Tests with engines wait for leases, elections and disks most of the time, and each starts up to
// four servers: some of them run side by side, and not all, since who elects and who keeps a lease
// must get a processor now and then. Tests that wait for them hold a place of go test's meanwhile,
// of which there are as many as processors unless Main is asked; so it makes more.
const (
	enginesAtOnce = 4
	testsAtOnce   = 16
)

var places = make(chan struct{}, enginesAtOnce)

// Parallel has a test run side by side with others, as soon as few others have engines. It is
// called before the test starts any, and not by a test whose subtests run in parallel: these would
// wait for a place of go test's, which those have who wait for the test's own.
func Parallel(t testing.TB) {
	if p, ok := t.(interface{ Parallel() }); ok {
		p.Parallel()
	}
	places <- struct{}{}
	t.Cleanup(func() { <-places })
}

// makePlaces has more tests run at a time than there are processors, unless go test was told how
// many.
func makePlaces() error {
	flag.Parse()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "test.parallel" })
	if told {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(testsAtOnce))
}
