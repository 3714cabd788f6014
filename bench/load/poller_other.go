//go:build !linux

package load

import (
	"errors"
	"net/netip"
)

// supported: elsewhere than on Linux a run is refused before anything here is called.
const supported = false

const pollEventsMax = 1

var errPoller = errors.New("the load generator needs epoll, which is Linux")

type poller struct{}

type interest uint32

const (
	interestNone interest = iota
	interestRead
	interestWrite
)

func newPoller() (*poller, error)                  { return nil, errPoller }
func (p *poller) close()                           {}
func (p *poller) wait(int) (int, error)            { return 0, errPoller }
func (p *poller) at(int) (slot, generation uint32) { return 0, 0 }
func (p *poller) add(*conn, interest) error        { return errPoller }
func (p *poller) change(*conn, interest) error     { return errPoller }

func dial(_, _ netip.AddrPort, _ int) (int32, error) { return -1, errPoller }
func dialed(int32) error                             { return errPoller }
func errorName(err error) string                     { return err.Error() }
