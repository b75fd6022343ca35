package matrix

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
)

// coverage counts what happened in all seeds.
type coverage struct {
	mu   sync.Mutex
	hits map[string]int
}

func newCoverage() *coverage { return &coverage{hits: map[string]int{}} }

func (c *coverage) hit(what string) {
	c.mu.Lock()
	c.hits[what]++
	c.mu.Unlock()
}

// check fails the test if something was never struck.
func (c *coverage) check(t *testing.T) {
	for _, what := range slices.Sorted(maps.Keys(c.hits)) {
		t.Logf("%6d %s", c.hits[what], what)
	}
	c.want(t, "checkpoint given up", 50)
	c.want(t, "a sink could not prepare", 10)
	for _, m := range []mode{unaligned, alignedTimeout, mixed} {
		c.want(t, m.String()+": completed with records in flight", 100)
		c.want(t, m.String()+": completed with records that were not sent", 50)
		c.want(t, m.String()+": restored records in flight, another parallelism", 10)
		c.want(t, m.String()+": restored records in flight, the same parallelism", 2)
	}
	for m := range lastMode {
		c.want(t, m.String()+": completed", 100)
		for p := range lastPhase {
			c.want(t, fmt.Sprintf("%v: kill at %v", m, p), 1)
		}
	}
}

func (c *coverage) want(t *testing.T, what string, least int) {
	if c.hits[what] < least {
		t.Errorf("%d times %s: want at least %d", c.hits[what], what, least)
	}
}
