package engine

import (
	"testing"
	"time"
)

// BenchmarkGroupLimit is what a read of a batch costs an aligned source more.
func BenchmarkGroupLimit(b *testing.B) {
	groups := newSourceGroups(map[string]int{"g": 4})
	var members []*groupMember
	for range 4 {
		members = append(members, groups.join("g", time.Minute, func() {}))
	}
	now, at := time.Now(), int64(0)
	b.ReportAllocs()
	for b.Loop() {
		at++
		members[at%4].limit(at, at, now)
	}
}
