package engine

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// TestGroupWakesWhomItHeld: a member is held above the lowest and its drift, and is woken
// when, and only when, the lowest rises.
func TestGroupWakesWhomItHeld(t *testing.T) {
	groups := newSourceGroups(map[string]int{"g": 2})
	woken := 0
	fast := groups.join("g", 100*time.Millisecond, func() { woken++ })
	slow := groups.join("g", 100*time.Millisecond, func() { t.Error("the slow one was never held") })
	now := time.Now()
	for _, s := range []struct {
		who             *groupMember
		lowest, highest int64
		limit           int64
		woken           int
	}{
		{fast, 500, 500, connector.NoTime, 0},                           // slow has no watermark yet
		{slow, connector.NoTime, connector.NoTime, connector.NoTime, 0}, // and may be read for that
		{slow, 300, 300, 400, 1},
		{fast, 500, 500, 400, 1}, // held again
		{slow, 350, 350, 450, 2}, // it looks, and finds that it is not enough
		{fast, 500, 500, 450, 2},
		{slow, 350, 350, 450, 2},
		{slow, 420, 420, 520, 3},
		{fast, 500, 500, 520, 3}, // not held: it is not woken below
		{slow, 430, 430, 530, 3},
		{fast, 600, 600, 530, 3},
		{slow, MaxWatermark, connector.NoTime, 700, 4}, // idle: fast is the lowest
		{slow, 440, 440, 540, 4},                       // again with records
		{fast, 600, 600, 540, 4},
	} {
		if got := s.who.limit(s.lowest, s.highest, now); got != s.limit {
			t.Errorf("at %d the limit is %d, want %d", s.lowest, got, s.limit)
		}
		if woken != s.woken {
			t.Errorf("at %d: woken %d times, want %d", s.lowest, woken, s.woken)
		}
	}
	slow.leave()
	if woken != 5 {
		t.Errorf("woken %d times after the other has left, want 5", woken)
	}
	fast.leave()
	if got := fast.limit(MaxWatermark, connector.NoTime, now); got != MaxWatermark {
		t.Errorf("the limit of those that have ended is %d", got)
	}
	if wait := fast.untilStale(now); wait != math.MaxInt64 {
		t.Errorf("a group in one process waits %v for news", wait)
	}
}

// TestGroupAcrossProcesses: others hold back sources as long as their news is fresh.
func TestGroupAcrossProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Attempt{groups: newSourceGroups(map[string]int{"g": 2, "here": 1, "elsewhere": 3})}
		woken := 0
		m := a.groups.join("g", time.Second, func() { woken++ })
		a.groups.join("here", time.Second, func() {})
		check := func(what string, want int64) {
			t.Helper()
			if got := m.limit(5000, 5000, time.Now()); got != want {
				t.Errorf("%s: the limit is %d, want %d", what, got, want)
			}
		}
		check("no news yet", connector.NoTime)
		want := []SourceTime{{Group: "g", Lowest: 5000, Subtasks: 1, Of: 2}}
		if got := a.SourceTimes(); !slices.Equal(got, want) {
			t.Errorf("the others hear %v, want %v", got, want)
		}
		a.AlignSources([]SourceTime{{Group: "g", Lowest: 2000}, {Group: "unknown", Lowest: 1}})
		check("the others are at 2000", 3000)
		time.Sleep(2 * time.Second)
		a.AlignSources([]SourceTime{{Group: "g", Lowest: 2500}})
		check("the others are at 2500", 3500)
		if wait := m.untilStale(time.Now()); wait != sourceNewsMax {
			t.Errorf("the news is good for %v, want %v", wait, sourceNewsMax)
		}
		time.Sleep(sourceNewsMax - time.Millisecond)
		check("the news is old", 3500)
		time.Sleep(time.Millisecond)
		check("the news is too old", 6000)
		a.AlignSources([]SourceTime{{Group: "g", Lowest: 2600}})
		check("there is news again", 3600)
		a.AlignSources([]SourceTime{{Group: "g", Lowest: MaxWatermark}})
		check("nobody else holds back", 6000)
		if woken != 4 {
			t.Errorf("woken %d times, want 4", woken)
		}
	})
}
