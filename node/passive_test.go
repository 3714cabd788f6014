package node

import (
	"testing"

	"throng/fanout"
	"throng/tuning"
)

func TestGuildsHaveTheLimitsOfTuning(t *testing.T) {
	want := fanout.Limits{PassiveMembersMin: tuning.PassiveMembersMin,
		PassivePeriodMilli: tuning.PassivePeriod.Milliseconds()}
	if fanout.DefaultLimits != want {
		t.Errorf("got %+v, want %+v", fanout.DefaultLimits, want)
	}
	s := settingsOf(Config{})
	if s.passiveMembersMin != want.PassiveMembersMin || s.passiveMilli != want.PassivePeriodMilli {
		t.Errorf("the node has %d and %d", s.passiveMembersMin, s.passiveMilli)
	}
}
