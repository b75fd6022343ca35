package engine

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// sourceNewsMax is how long news of the sources in other processes is good for. News comes
// every 200 ms while somebody leads. When there is none for so long, the sources here go by
// each other alone: alignment saves state, and no record depends on it, so that
// a cluster without a leader must not stop the data for it.
const sourceNewsMax = 3 * time.Second

// sourceGroups are the groups of aligned sources of an attempt, by name (Flink's watermark
// alignment): none of a group's splits gets further ahead in event time of the one that is
// furthest behind than the drift that its source allows.
type sourceGroups struct {
	groups map[string]*sourceGroup // not changed once it is made
}

// sourceGroup is one group, as far as this process knows it.
//
// Invariant: a member whose limit rises after it has been held is woken: both happen
// under the lock.
type sourceGroup struct {
	name string
	of   int // subtasks of the whole attempt

	mu      sync.Mutex
	members []*groupMember
	others  int64     // the lowest in other processes; MaxWatermark: nobody there holds back
	newsAt  time.Time // when that was heard; at first when the group was made
	lowest  int64     // of everybody, as of the last look
}

// groupMember is a source subtask in its group. Its goroutine makes all calls.
type groupMember struct {
	group *sourceGroup
	drift int64  // milliseconds
	wake  func() // makes the subtask look again

	lowest int64 // of its splits that hold back others; MaxWatermark if none does
	held   bool  // it has a split that waits for the group
}

func newSourceGroups(subtasks map[string]int) *sourceGroups {
	g := &sourceGroups{groups: map[string]*sourceGroup{}}
	for name, of := range subtasks {
		g.groups[name] = &sourceGroup{name: name, of: of, others: connector.NoTime, newsAt: time.Now(), lowest: connector.NoTime}
	}
	return g
}

// join adds a subtask to a group. All of them join before the first is read.
func (g *sourceGroups) join(name string, drift time.Duration, wake func()) *groupMember {
	group := g.groups[name]
	m := &groupMember{group: group, drift: drift.Milliseconds(), wake: wake, lowest: connector.NoTime}
	group.mu.Lock()
	group.members = append(group.members, m)
	group.mu.Unlock()
	return m
}

// limit says how far the subtask's own splits have come and returns up to which watermark
// they may be read now. highest decides whether the subtask wants to hear of a higher limit.
func (m *groupMember) limit(lowest, highest int64, now time.Time) int64 {
	g := m.group
	g.mu.Lock()
	defer g.mu.Unlock()
	m.lowest = lowest
	g.refreshLocked(now)
	limit := m.limitLocked()
	m.held = highest > limit
	return limit
}

// limitLocked is the lowest watermark of the group and the drift. Before a split
// has a watermark, only those that have none are read.
func (m *groupMember) limitLocked() int64 {
	switch l := m.group.lowest; {
	case l == connector.NoTime:
		return l
	case l > math.MaxInt64-m.drift:
		return MaxWatermark
	default:
		return l + m.drift
	}
}

// leave ends the subtask's part: it has nothing left to read.
func (m *groupMember) leave() { m.limit(MaxWatermark, connector.NoTime, time.Now()) }

// untilStale is how long until the news of other processes is too old to be heeded.
func (m *groupMember) untilStale(now time.Time) time.Duration {
	g := m.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := sourceNewsMax - now.Sub(g.newsAt); g.elsewhereLocked() && d > 0 {
		return d
	}
	return math.MaxInt64
}

func (g *sourceGroup) elsewhereLocked() bool { return len(g.members) < g.of }

// refreshLocked finds the lowest watermark of the group, and wakes those who have waited
// for a higher one.
func (g *sourceGroup) refreshLocked(now time.Time) {
	lowest := g.ownLocked()
	if g.elsewhereLocked() && now.Sub(g.newsAt) < sourceNewsMax {
		lowest = min(lowest, g.others)
	}
	rose := lowest > g.lowest
	g.lowest = lowest
	if !rose {
		return
	}
	for _, m := range g.members {
		if m.held {
			m.held = false
			m.wake()
		}
	}
}

// ownLocked is the lowest watermark in this process.
func (g *sourceGroup) ownLocked() int64 {
	lowest := MaxWatermark
	for _, m := range g.members {
		lowest = min(lowest, m.lowest)
	}
	return lowest
}

// SourceTime is how far the sources of a group have come in one process.
type SourceTime struct {
	Group string
	// Lowest is the lowest watermark of the splits that are neither idle nor at their end:
	// Unix milliseconds, connector.NoTime if one of them has none yet, MaxWatermark if
	// there are none.
	Lowest int64
	// Subtasks is how many of the group's Of subtasks run in the process.
	Subtasks, Of int
}

// SourceTimes tells, by name of the group, how far those groups of aligned sources have come here that have subtasks
// in other processes too.
func (a *Attempt) SourceTimes() []SourceTime {
	var times []SourceTime
	for _, name := range slices.Sorted(maps.Keys(a.groups.groups)) {
		g := a.groups.groups[name]
		g.mu.Lock()
		if len(g.members) > 0 && g.elsewhereLocked() {
			times = append(times, SourceTime{Group: g.name, Lowest: g.ownLocked(), Subtasks: len(g.members), Of: g.of})
		}
		g.mu.Unlock()
	}
	return times
}

// AlignSources takes how far the groups have come in all other processes together. It is
// repeated while the attempt runs: see sourceNewsMax.
func (a *Attempt) AlignSources(others []SourceTime) {
	now := time.Now()
	for _, o := range others {
		g := a.groups.groups[o.Group]
		if g == nil {
			continue
		}
		g.mu.Lock()
		g.others, g.newsAt = o.Lowest, now
		g.refreshLocked(now)
		g.mu.Unlock()
	}
}
