package changelog

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// blocks is an image that is there already.
type blocks []state.Block

func (b blocks) Write(_ context.Context, yield func(state.Block) error) error {
	for _, x := range b {
		if err := yield(x); err != nil {
			return err
		}
	}
	return nil
}

func (blocks) Fuzzy() bool { return false }
func (blocks) Close()      {}

// image gives the log an image of one entry for each of the keys.
func image(l *Log, value string, keys ...string) {
	var b []byte
	for _, k := range keys {
		b = state.AppendEntry(b, state.Entry{Group: int(k[0]) % groups, Key: []byte(k), Value: []byte(value)})
	}
	l.Image(blocks{{GroupLo: 0, GroupHi: groups - 1, Entries: len(keys), Data: b}})
}

func TestImageReplacesTheLogOnceItsCheckpointCompletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		release := make(chan struct{})
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		write(l, "1", "a", "b")
		first := seal(t, u, 1, cutAt(l, 2))
		b.onPut(func(key string) error { // hold the image
			if strings.HasSuffix(key, "2.0") {
				<-release
			}
			return nil
		})
		image(l, "image", "a", "b")
		write(l, "2", "b")

		before := seal(t, u, 2, cutAt(l, 3)) // the image is not durable
		equal(t, "objects", before.Objects, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 1}, {Prefix: "p/1/", Lo: 3, Hi: 3}})
		equal(t, "state", restored(t, b, 0, groups-1, before.Keyed[l]), []string{"a=1", "b=2"})
		u.Completed(2)
		close(release)
		synctest.Wait()

		with := seal(t, u, 3, cutAt(l, 3))
		equal(t, "objects", with.Objects, []snapshot.Run{{Prefix: "p/1/", Lo: 2, Hi: 3}})
		equal(t, "released before completion", with.Released, []snapshot.Run{})
		equal(t, "state", restored(t, b, 0, groups-1, with.Keyed[l]), []string{"a=image", "b=2"})
		u.Completed(2) // not the one that uses it
		equal(t, "still not released", seal(t, u, 4, cutAt(l, 3)).Released, []snapshot.Run{})
		u.Completed(4)
		garbage := []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 1}}
		equal(t, "released", seal(t, u, 5, cutAt(l, 3)).Released, garbage)
		equal(t, "released again, since 5 did not complete", seal(t, u, 6, cutAt(l, 3)).Released, garbage)
		u.Completed(6)
		equal(t, "released and known", seal(t, u, 7, cutAt(l, 3)).Released, []snapshot.Run{})
		equal(t, "old handle", restored(t, b, 0, groups-1, first.Keyed[l]), []string{"a=1", "b=1"})
	})
}

func TestObjectStaysWhileAnotherLogNeedsIt(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	l, other := newLog(t, u, "a"), newLog(t, u, "b")
	write(l, "1", "a")
	write(other, "1", "x")
	cuts := map[*Log]state.Cut{l: {Position: 1}, other: {Position: 1}}
	seal(t, u, 1, cuts)
	l.Image(blocks{}) // the store is empty by now
	s := seal(t, u, 2, cuts)
	equal(t, "segments", len(s.Keyed[l].Segments), 0)
	u.Completed(2)
	s = seal(t, u, 3, cuts)
	equal(t, "released", s.Released, []snapshot.Run{})
	other.Image(blocks{})
	seal(t, u, 4, cuts)
	u.Completed(4)
	equal(t, "released", seal(t, u, 5, cuts).Released, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 1}})
}

func TestImageIsNotUsedForAnEarlierCut(t *testing.T) {
	b := newSpy()
	u := setup(t, b, nil)
	l := newLog(t, u, "a")
	write(l, "1", "a")
	seal(t, u, 1, cutAt(l, 1))
	write(l, "2", "a")
	l.Image(blocks{})
	k := seal(t, u, 2, cutAt(l, 1)).Keyed[l] // its barrier came before the image's
	equal(t, "state", restored(t, b, 0, groups-1, k), []string{"a=1"})
}

func TestWhenAnImageIsWanted(t *testing.T) {
	policy := ImagePolicy{LogBytesMin: 1000, LogPerLive: 2, SegmentsMax: 3}
	start := func(t *testing.T) (*Uploader, *Log) {
		u := setup(t, newSpy(), func(c *Config) { c.Image = policy })
		return u, newLog(t, u, "a")
	}
	t.Run("long log", func(t *testing.T) {
		_, l := start(t)
		write(l, strings.Repeat("v", 900), "a")
		equal(t, "short", l.WantsImage(0), false)
		write(l, strings.Repeat("v", 200), "a")
		equal(t, "long", l.WantsImage(0), true)
		equal(t, "long, but not against the live state", l.WantsImage(600), false)
		image(l, "v", "a")
		equal(t, "one is under way", l.WantsImage(0), false)
	})
	t.Run("many segments", func(t *testing.T) {
		u, l := start(t)
		for i := range 4 {
			equal(t, "before", l.WantsImage(0), false)
			write(l, "v", "a")
			seal(t, u, dataflow.CheckpointID(i+1), cutAt(l, uint64(i+1)))
		}
		equal(t, "after", l.WantsImage(0), true)
	})
	t.Run("inherited", func(t *testing.T) {
		_, l := start(t)
		var s snapshot.Segment
		s.Ref.Length = 1001
		l.Inherit([]snapshot.Segment{s})
		equal(t, "wanted", l.WantsImage(0), true)
	})
	t.Run("holds others", func(t *testing.T) {
		u, l := start(t)
		write(l, "v", "a")
		seal(t, u, 1, cutAt(l, 1))
		busy := newLog(t, u, "busy")
		for range sharedLogFactor * 2 { // what the policy allows to two logs
			equal(t, "before", l.WantsImage(0), false)
			write(busy, strings.Repeat("v", 1000), "a")
		}
		equal(t, "after", l.WantsImage(0), true)
	})
}

func TestLargeImageTakesSeveralObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		var parts blocks
		for i := range 5 {
			e := state.Entry{Group: i, Key: fmt.Append(nil, i), Value: make([]byte, objectBytes/2)}
			parts = append(parts, state.Block{GroupLo: i, GroupHi: i, Entries: 1, Data: state.AppendEntry(nil, e)})
		}
		l.Image(parts)
		synctest.Wait()
		s := seal(t, u, 1, cutAt(l, 0))
		equal(t, "objects", s.Objects, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 5}})
		equal(t, "restored", len(restored(t, b, 0, groups-1, s.Keyed[l])), 5)
		b.gets = nil
		equal(t, "restored in part", len(restored(t, b, 2, 3, s.Keyed[l])), 2)
		equal(t, "reads in part", len(b.gets), 2)
	})
}
