package state

import (
	"cmp"
	"encoding/binary"
	"fmt"
)

// Timers are timers by key, of event time or of processing time: Flink's timer
// service. A timer is a time and a tag; registering the same one twice for a key
// is once. One goroutine uses it.
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

	due []timerItem // scratch: those that EachDue tells of
	sub []byte      // scratch: a sub-key
	key []byte      // scratch: the key of the timer that fires
	tag []byte      // scratch: its tag
}

// TimersSchema is the Definition.Schema of timers: a sub-key is the time, as
// SplitTimer reads it, and then the tag; there is no value.
const TimersSchema = "time int64, tag bytes"

// NewTimers registers timers with the store, or finds those of a restored one.
func NewTimers(s Store, name string) (*Timers, error) { return newTimers(s, name, Variable) }

// NewTimersWithoutTags is NewTimers for who never uses tags: they take less room.
func NewTimersWithoutTags(s Store, name string) (*Timers, error) { return newTimers(s, name, timeSize) }

func newTimers(s Store, name string, subSize int) (*Timers, error) {
	h, err := s.Register(Definition{Name: name, Kind: "timers", Schema: TimersSchema, SubSize: subSize})
	if err != nil {
		return nil, err
	}
	t := &Timers{store: Unwrap(s), handle: h}
	scanErr := s.ScanAll(h, func(group int, key, sub, _ []byte) bool {
		at, tag, ok := SplitTimer(sub)
		if !ok {
			err = fmt.Errorf("timers %q: %w: sub-key of %d bytes", name, ErrCorrupt, len(sub))
			return false
		}
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

// PopUntil removes the timers that are due at the time, in order of time, then
// key group, key and tag, and calls f for each with the store set to its key. f may
// set and delete timers; one that it sets at or before the time fires in the same
// call. key and tag are valid until f returns. An error of f ends the call and is
// returned; its timer stays removed.
func (t *Timers) PopUntil(time int64, f func(group int, key, tag []byte, at int64) error) error {
	for {
		if popped, err := t.PopSome(time, popAtOnce, f); popped < popAtOnce || err != nil {
			return err
		}
	}
}

const popAtOnce = 1 << 20

// PopSome is PopUntil for at most limit timers, and tells how many there were.
func (t *Timers) PopSome(time int64, limit int, f func(group int, key, tag []byte, at int64) error) (popped int, err error) {
	for popped < limit && t.heap.len() > 0 && t.heap.items[0].at <= time {
		at, group, key, tag := t.heap.min()
		t.key, t.tag = append(t.key[:0], key...), append(t.tag[:0], tag...)
		t.heap.pop()
		t.store.SetKey(group, t.key)
		sub := t.encodeSub(at, t.tag)
		_, ok, err := t.store.Get(t.handle, sub)
		if err != nil {
			return popped, err
		}
		if !ok {
			t.stale--
			continue
		}
		if err := t.store.Delete(t.handle, sub); err != nil {
			return popped, err
		}
		popped++
		if err := f(group, t.key, t.tag, at); err != nil {
			return popped, err
		}
	}
	return popped, nil
}

// EachDue calls f for the timers that PopSome would pop, and removes none: for
// Prefetch. It costs as much as popping them. key and tag are valid until the timers
// change.
func (t *Timers) EachDue(time int64, limit int, f func(group int, key, tag []byte, at int64)) {
	t.due = t.heap.earliest(t.due[:0], time, limit)
	for i := range t.due {
		it := &t.due[i]
		f(int(it.group), t.heap.key(it), t.heap.tag(it), it.at)
	}
}

// Entry is where a timer lies in the store, for Prefetch: the state's number and
// the sub-key, appended to dst.
func (t *Timers) Entry(dst []byte, at int64, tag []byte) (h Handle, sub []byte) {
	return t.handle, append(dst, t.encodeSub(at, tag)...)
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

// SplitTimer is the time, in Unix milliseconds, and the tag of a timer's sub-key. ok
// is false if it is none.
func SplitTimer(sub []byte) (at int64, tag []byte, ok bool) {
	if len(sub) < timeSize {
		return 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(sub) ^ (1 << 63)), sub[timeSize:], true
}
