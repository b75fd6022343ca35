package changelog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// picture is an image that is there already, or comes to nothing.
type picture struct {
	blocks []state.Block
	fuzzy  bool
	before func(ctx context.Context) error // before the first block, if not nil
	closed *atomic.Int32
}

func (p *picture) Write(ctx context.Context, yield func(state.Block) error) error {
	if p.before != nil {
		if err := p.before(ctx); err != nil {
			return err
		}
	}
	for _, b := range p.blocks {
		if err := yield(b); err != nil {
			return err
		}
	}
	return nil
}

func (p *picture) Fuzzy() bool { return p.fuzzy }

func (p *picture) Close() {
	if p.closed != nil {
		p.closed.Add(1)
	}
}

// entryBlock has one entry for each of the keys.
func entryBlock(value string, keys ...string) state.Block {
	var b []byte
	lo, hi := groups, 0
	for _, k := range keys {
		g := int(k[0]) % groups
		lo, hi = min(lo, g), max(hi, g)
		b = state.AppendEntry(b, state.Entry{Group: g, Key: []byte(k), Value: []byte(value)})
	}
	return state.Block{GroupLo: lo, GroupHi: hi, Entries: len(keys), Data: b}
}

// image gives the log an image of one entry for each of the keys.
func image(l *Log, value string, keys ...string) {
	l.Image(&picture{blocks: []state.Block{entryBlock(value, keys...)}})
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
		synctest.Wait()
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
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, nil)
		l, other := newLog(t, u, "a"), newLog(t, u, "b")
		write(l, "1", "a")
		write(other, "1", "x")
		cuts := map[*Log]state.Cut{l: {Position: 1}, other: {Position: 1}}
		seal(t, u, 1, cuts)
		l.Image(&picture{}) // the store is empty by now
		synctest.Wait()
		s := seal(t, u, 2, cuts)
		equal(t, "segments", len(s.Keyed[l].Segments), 0)
		u.Completed(2)
		s = seal(t, u, 3, cuts)
		equal(t, "released", s.Released, []snapshot.Run{})
		other.Image(&picture{})
		synctest.Wait()
		seal(t, u, 4, cuts)
		u.Completed(4)
		equal(t, "released", seal(t, u, 5, cuts).Released, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 1}})
	})
}

func TestImageIsNotUsedForAnEarlierCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		write(l, "1", "a")
		seal(t, u, 1, cutAt(l, 1))
		write(l, "2", "a")
		l.Image(&picture{})
		synctest.Wait()
		k := seal(t, u, 2, cutAt(l, 1)).Keyed[l] // its barrier came before the image's
		equal(t, "state", restored(t, b, 0, groups-1, k), []string{"a=1"})
	})
}

func TestFuzzyImageIsNotUsedBeforeItWasComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		write(l, "1", "a", "b")
		goOn := make(chan struct{})
		l.Image(&picture{fuzzy: true, blocks: []state.Block{entryBlock("3", "a", "b")},
			before: func(context.Context) error { <-goOn; return nil }})
		write(l, "2", "a", "b")
		early := state.Cut{Position: 4}
		write(l, "3", "a", "b") // is in the image already
		close(goOn)
		synctest.Wait()
		k := seal(t, u, 1, map[*Log]state.Cut{l: early}).Keyed[l]
		equal(t, "state", restored(t, b, 0, groups-1, k), []string{"a=2", "b=2"})
		k = seal(t, u, 2, cutAt(l, 6)).Keyed[l]
		equal(t, "begins with the image", k.Segments[0].Base, true)
		equal(t, "replays from its beginning", k.Segments[1].From, 2)
		equal(t, "state", restored(t, b, 0, groups-1, k), []string{"a=3", "b=3"})
	})
}

func TestLargeImageTakesSeveralObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		var parts []state.Block
		for i := range 5 {
			e := state.Entry{Group: i, Key: fmt.Append(nil, i), Value: make([]byte, objectBytes/2)}
			parts = append(parts, state.Block{GroupLo: i, GroupHi: i, Entries: 1, Data: state.AppendEntry(nil, e)})
		}
		l.Image(&picture{blocks: parts})
		synctest.Wait()
		s := seal(t, u, 1, cutAt(l, 0))
		equal(t, "objects", s.Objects, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 5}})
		equal(t, "restored", len(restored(t, b, 0, groups-1, s.Keyed[l])), 5)
		b.gets = nil
		equal(t, "restored in part", len(restored(t, b, 2, 3, s.Keyed[l])), 2)
		equal(t, "reads in part", len(b.gets), 2)
		equal(t, "images", u.Stats().Images, 1)
	})
}

func TestSmallBlocksOfAnImageAreOneSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		r := state.Records{KeySize: 1, ValueSize: 1}
		records := func(key byte) state.Block {
			data := append(r.AppendRun(r.AppendHeader(nil), int(key)%groups, 1), key, 'r')
			return state.Block{GroupLo: int(key) % groups, GroupHi: int(key) % groups, Entries: 1, Format: state.RecordBlock, Data: data}
		}
		l.Image(&picture{blocks: []state.Block{records('a'), records('b'), entryBlock("e", "c"), entryBlock("e", "d", "f")}})
		synctest.Wait()
		s := seal(t, u, 1, cutAt(l, 0))
		var got []string
		for _, s := range s.Keyed[l].Segments {
			got = append(got, fmt.Sprintf("%d-%d", s.GroupLo, s.GroupHi))
		}
		equal(t, "segments", got, []string{"1-2", "3-6"})
		equal(t, "state", restored(t, b, 0, groups-1, s.Keyed[l]), []string{"a=r", "b=r", "c=e", "d=e", "f=e"})
		equal(t, "in part", restored(t, b, 2, 4, s.Keyed[l]), []string{"b=r", "c=e", "d=e"})
	})
}

func TestImageIsClosedOnceWhateverBecomesOfIt(t *testing.T) {
	stuck := func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
	fails := func(context.Context) error { return errors.New("disk on fire") }
	for name, before := range map[string]func(context.Context) error{"written": nil, "stuck": stuck, "failed": fails} {
		t.Run(name, func(t *testing.T) {
			var closed atomic.Int32
			synctest.Test(t, func(t *testing.T) {
				u := setup(t, newSpy(), nil)
				l := newLog(t, u, "a")
				l.Image(&picture{before: before, closed: &closed})
				synctest.Wait()
			})
			equal(t, "closed", closed.Load(), 1)
		})
	}
	t.Run("never begun", func(t *testing.T) {
		var closed atomic.Int32
		u, err := New(Config{Bucket: newSpy(), Prefix: "p/1/"})
		if err != nil {
			t.Fatal(err)
		}
		l := newLog(t, u, "a")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l.Image(&picture{closed: &closed})
		if err := u.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
		l.Image(&picture{closed: &closed})
		equal(t, "closed", closed.Load(), 2)
	})
}

func TestFailedImageIsDroppedAndTriedAgainLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, func(c *Config) { c.Image.LogBytesMin = 10 })
		l := newLog(t, u, "a")
		write(l, "11111111", "a", "b")
		seal(t, u, 1, cutAt(l, 2))
		b.onPut(func(key string) error {
			if strings.HasSuffix(key, "3.0") {
				return errors.New("disk on fire")
			}
			return nil
		})
		large := make([]byte, objectBytes)
		l.Image(&picture{blocks: []state.Block{entryBlock(string(large), "a"), entryBlock(string(large), "b")}})
		time.Sleep(retryMax) // virtual time
		synctest.Wait()
		equal(t, "wanted at once", l.WantsImage(0), false)
		s := seal(t, u, 2, cutAt(l, 2))
		equal(t, "objects", s.Objects, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 1}})
		equal(t, "released", s.Released, []snapshot.Run{{Prefix: "p/1/", Lo: 2, Hi: 3}})
		equal(t, "memory", inside(u, func() int64 { return u.imageBytes }), 0)
		time.Sleep(imageBackoffMin)
		equal(t, "wanted later", l.WantsImage(0), true)
		b.onPut(nil)
		image(l, "image", "a", "b")
		synctest.Wait()
		s = seal(t, u, 3, cutAt(l, 2))
		equal(t, "state", restored(t, b, 0, groups-1, s.Keyed[l]), []string{"a=image", "b=image"})
	})
}

func TestImageWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		release := make(chan struct{})
		b.onPut(func(string) error { <-release; return nil })
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		var parts []state.Block
		for range 3 * imageMemory / objectBytes {
			e := state.Entry{Key: []byte("k"), Value: make([]byte, objectBytes)}
			parts = append(parts, state.Block{Entries: 1, Data: state.AppendEntry(nil, e)})
		}
		l.Image(&picture{blocks: parts})
		synctest.Wait()
		if n := inside(u, func() int64 { return u.imageBytes }); n > imageMemory+objectBytes+100 {
			t.Errorf("%d bytes of the image are in memory", n)
		}
		close(release)
		synctest.Wait()
		equal(t, "images", u.Stats().Images, 1)
		equal(t, "memory", inside(u, func() int64 { return u.imageBytes }), 0)
	})
}
