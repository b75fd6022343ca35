package changelog

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

func TestWhenAnImageIsWanted(t *testing.T) {
	start := func(t *testing.T, change func(*Config)) (*Uploader, *Log) {
		u := setup(t, newSpy(), func(c *Config) {
			c.Image = ImagePolicy{LogBytesMin: 1000, LogPerLive: 2, SegmentsMax: 3}
			if change != nil {
				change(c)
			}
		})
		return u, newLog(t, u, "a")
	}
	t.Run("long log", func(t *testing.T) {
		_, l := start(t, nil)
		write(l, strings.Repeat("v", 900), "a")
		equal(t, "short", l.WantsImage(0), false)
		write(l, strings.Repeat("v", 200), "a")
		equal(t, "long", l.WantsImage(0), true)
		equal(t, "long, but not against the live state", l.WantsImage(600), false)
		l.Image(&picture{before: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }})
		equal(t, "one is under way", l.WantsImage(0), false)
	})
	t.Run("bound", func(t *testing.T) {
		_, l := start(t, func(c *Config) { c.LogBytes = 500 })
		write(l, strings.Repeat("v", 600), "a")
		equal(t, "whatever is live", l.WantsImage(1<<30), true)
	})
	t.Run("long replay", func(t *testing.T) {
		_, l := start(t, func(c *Config) { c.RecoveryTarget, c.Image.ReplayEntries = time.Second, 100 })
		for i := range 74 {
			write(l, "", fmt.Sprint(i))
		}
		equal(t, "short", l.WantsImage(1<<30), false)
		write(l, "", "x", "y", "z")
		equal(t, "long", l.WantsImage(1<<30), true)
	})
	t.Run("many segments", func(t *testing.T) {
		u, l := start(t, nil)
		for i := range 4 {
			equal(t, "before", l.WantsImage(0), false)
			write(l, "v", "a")
			seal(t, u, dataflow.CheckpointID(i+1), cutAt(l, uint64(i+1)))
		}
		equal(t, "after", l.WantsImage(0), true)
		equal(t, "of a large state", l.WantsImage(2<<20), false)
	})
	t.Run("inherited", func(t *testing.T) {
		_, l := start(t, nil)
		var s snapshot.Segment
		s.Ref.Length = 1001
		l.Inherit([]snapshot.Segment{s})
		equal(t, "wanted", l.WantsImage(0), true)
	})
	t.Run("holds others", func(t *testing.T) {
		u, l := start(t, nil)
		write(l, "v", "a")
		seal(t, u, 1, cutAt(l, 1))
		busy := newLog(t, u, "busy")
		for range sharedLogFactor {
			equal(t, "before", l.WantsImage(0), false)
			write(busy, strings.Repeat("v", 1000), "a")
		}
		equal(t, "after", l.WantsImage(0), true)
	})
	t.Run("pins the oldest object", func(t *testing.T) {
		u, l := start(t, func(c *Config) { c.Image.LogBytesMin, c.Image.ObjectsMax = 1<<20, 4 })
		busy := newLog(t, u, "busy")
		write(l, "v", "a")
		for i := range 6 {
			equal(t, "before", l.WantsImage(0) && i < 5, false)
			write(busy, "v", "a")
			seal(t, u, dataflow.CheckpointID(i+1), map[*Log]state.Cut{l: {Position: 1}, busy: {Position: uint64(i + 1)}})
		}
		equal(t, "after", l.WantsImage(0), true)
	})
}
