package state

import (
	"cmp"
	"encoding/binary"
	"fmt"
)

// Timers are event-time timers by key: Flink's timer service. A timer is a
// time and a tag; registering the same one twice for a key is once. One
// goroutine uses it.
//
// Each timer is an entry of the store, so that it is in the changelog. A heap
// beside the store orders all keys' timers by time; it holds no Go pointers,
// so that millions of them cost the garbage collector nothing, and is built from
// the store when the handle is made.
type Timers struct {
	store  Store
	handle Handle
	heap   timerHeap
	// stale counts heap entries whose timer was deleted: they are skipped
	// when they come up, and swept when they outnumber the others.
	stale int

	sub []byte // scratch: a sub-key
	key []byte // scratch: the key of the timer that fires
	tag []byte // scratch: its tag
}

// NewTimers registers timers with the store, or finds those of a restored one.
func NewTimers(s Store, name string) (*Timers, error) {
	h, err := s.Register(Definition{Name: name, Kind: "timers", Schema: "time int64, tag bytes", SubSize: Variable})
	if err != nil {
		return nil, err
	}
	t := &Timers{store: s, handle: h}
	scanErr := s.ScanAll(h, func(group int, key, sub, _ []byte) bool {
		if len(sub) < timeSize {
			err = fmt.Errorf("timers %q: %w: sub-key of %d bytes", name, ErrCorrupt, len(sub))
			return false
		}
		at, tag := splitSub(sub)
		t.heap.push(at, group, key, tag)
		return true
	})
	if err = cmp.Or(err, scanErr); err != nil {
		return nil, err
	}
	return t, nil
}

// Register sets a timer for the store's current key at time at (Unix
// milliseconds). It keeps no reference to tag.
func (t *Timers) Register(at int64, tag []byte) {
	sub := t.encodeSub(at, tag)
	if _, ok, err := t.store.Get(t.handle, sub); ok || err != nil {
		return // EndBatch tells of an error
	}
	_ = t.store.Put(t.handle, sub, nil)
	group, key := t.store.Key()
	t.heap.push(at, group, key, tag)
}

// Delete removes a timer of the store's current key, if it is set.
func (t *Timers) Delete(at int64, tag []byte) {
	sub := t.encodeSub(at, tag)
	if _, ok, _ := t.store.Get(t.handle, sub); !ok {
		return
	}
	_ = t.store.Delete(t.handle, sub)
	t.stale++
	if t.stale > sweepMin && t.stale > t.heap.len()/2 {
		t.sweep()
	}
}

// PopUntil removes the timers that are due at the watermark, in order of time,
// then key group, key and tag, and calls f for each with the store set to its
// key. f may set and delete timers; one that it sets at or before the watermark
// fires in the same call. key and tag are valid until f returns. An error of f
// ends the call and is returned; its timer stays removed.
func (t *Timers) PopUntil(watermark int64, f func(group int, key, tag []byte, at int64) error) error {
	for t.heap.len() > 0 && t.heap.items[0].at <= watermark {
		at, group, key, tag := t.heap.min()
		t.key, t.tag = append(t.key[:0], key...), append(t.tag[:0], tag...)
		t.heap.pop()
		t.store.SetKey(group, t.key)
		sub := t.encodeSub(at, t.tag)
		_, ok, err := t.store.Get(t.handle, sub)
		if err != nil {
			return err
		}
		if !ok {
			t.stale--
			continue
		}
		if err := t.store.Delete(t.handle, sub); err != nil {
			return err
		}
		if err := f(group, t.key, t.tag, at); err != nil {
			return err
		}
	}
	return nil
}

// Next returns a time at or before the earliest timer's; ok is false if no
// timer is set. PopUntil has nothing to do for a watermark below it.
func (t *Timers) Next() (at int64, ok bool) {
	if t.heap.len() == 0 {
		return 0, false
	}
	return t.heap.items[0].at, true
}

// Len is the number of timers of all keys.
func (t *Timers) Len() int { return t.heap.len() - t.stale }

// sweepMin is how many stale timers are left alone: sweeping fewer would cost
// more than skipping them.
const sweepMin = 1024

// sweep drops stale heap entries. A timer that was deleted and set again is
// there twice; once sorted, the two are neighbours.
func (t *Timers) sweep() {
	group, key := t.store.Key()
	kept := timerHeap{}
	t.heap.sort()
	for i := range t.heap.items {
		at, g, k, tag := t.heap.at(i)
		t.store.SetKey(g, k)
		if _, ok, _ := t.store.Get(t.handle, t.encodeSub(at, tag)); !ok {
			continue
		}
		if n := kept.len(); n > 0 && kept.equal(n-1, at, g, k, tag) {
			continue
		}
		kept.push(at, g, k, tag) // in order, so this moves nothing
	}
	t.heap, t.stale = kept, 0
	t.store.SetKey(group, key)
}

// timeSize is the length of the time at the front of a timer's sub-key.
const timeSize = 8

// encodeSub is at in an order-preserving form, then tag.
func (t *Timers) encodeSub(at int64, tag []byte) []byte {
	t.sub = binary.BigEndian.AppendUint64(t.sub[:0], uint64(at)^(1<<63))
	t.sub = append(t.sub, tag...)
	return t.sub
}

func splitSub(sub []byte) (at int64, tag []byte) {
	return int64(binary.BigEndian.Uint64(sub) ^ (1 << 63)), sub[timeSize:]
}
