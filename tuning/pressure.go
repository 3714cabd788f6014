package tuning

import "time"

// Shedding, for who runs a node that is short of memory: see Pressure.
const (
	// PressureNewPercent of the memory there is, needed and not only held: no new sessions. Then
	// PressureTrimPercent: no connections, no more users, members and guilds, and sessions without
	// a socket end. Then PressureClosePercent: connections are closed. Each holds until the need
	// is PressureMarginPercent below, which a herd of ten thousand that comes back takes longer to
	// fill than one look is from the next.
	PressureNewPercent    = 80
	PressureTrimPercent   = 90
	PressureClosePercent  = 95
	PressureMarginPercent = 3

	// PressureHeldPercent held, garbage or not, is as near as the kernel may be let to killing.
	PressureHeldPercent = 98

	// PressureInterval is between two looks, and PressureIntervalNear from PressureNearPercent on:
	// a look takes 0.1 ms. PressureReserveBytes are what may come between two of those, as lines
	// of members do at 400 MB a second, and never count as room.
	PressureInterval     = 250 * time.Millisecond
	PressureIntervalNear = 40 * time.Millisecond
	PressureNearPercent  = 60
	PressureReserveBytes = 16 << 20

	// ShedShare: at each look one part in so many of a loop's sessions goes, and ShedMin at least:
	// all would be gone in 4 s, and each of them comes to another node.
	ShedShare = 16
	ShedMin   = 64

	// What peers do not read goes at each look, as much as is too much: QueueSampleMax sockets a
	// loop are asked what waits for them, 0.3 ms, to know how much that is; of ShedLookMax, those
	// go that most waits for, of ShedQueueMin at least, which who reads has hardly ever.
	QueueSampleMax = 1024
	ShedLookMax    = 8192
	ShedQueueMin   = 64 << 10

	// ShedAnyAfter without anybody who takes nothing, and with more held than the budget: others
	// go. Before that it would be for little: one of them holds some kilobytes, and at this level
	// nothing new comes in.
	ShedAnyAfter = 2 * time.Second

	// HeapMaxPercent of the memory there is are Go's and the kernel's together.
	HeapMaxPercent = 95
)

// Relations that must hold whatever figure is changed above.
const (
	_ = uint(HeapMaxPercent - MemoryLimitPercent)        // An idle node has all of its limit.
	_ = uint(PressureTrimPercent - PressureNewPercent)   // Levels come in order.
	_ = uint(PressureClosePercent - PressureTrimPercent) // So do these.
	_ = uint(PressureHeldPercent - HeapMaxPercent)       // Garbage alone closes nobody.
)

// Excess is how much less has to be needed until no connection is closed any more.
func (u MemoryUse) Excess() int64 {
	return max(u.Needed()-u.Budget/100*(PressureClosePercent-PressureMarginPercent), 0)
}

// Pressure says how near the budget a process is, and with that what it gives up.
type Pressure uint8

const (
	PressureNone  Pressure = iota
	PressureNew            // No new sessions.
	PressureTrim           // No connections and no more state; who is away is forgotten.
	PressureClose          // Connections are closed, those first that most waits for.
)

// String is the word in metrics and logs.
func (p Pressure) String() string { return [...]string{"none", "new", "trim", "close"}[p] }

var pressures = [...]int64{PressureNew: PressureNewPercent, PressureTrim: PressureTrimPercent,
	PressureClose: PressureClosePercent}

// Next is the pressure after was. It rises at once and falls below its bound by a margin, so that
// what is given up is not taken back and given up again.
//
// What counts is what is needed: garbage may fill the budget, since the collector keeps it there.
// But the kernel ends a process for what it holds, so past a bound that alone is the last level.
func (u MemoryUse) Next(was Pressure) Pressure {
	if u.Budget <= 0 {
		return PressureNone
	}
	share := u.Needed() * 100 / u.Budget
	now := PressureNone
	for p := PressureNew; p <= PressureClose; p++ {
		bound := pressures[p]
		if p <= was {
			bound -= PressureMarginPercent
		}
		if share >= bound {
			now = p
		}
	}
	if u.Held*100/u.Budget >= PressureHeldPercent {
		return PressureClose
	}
	return now
}
