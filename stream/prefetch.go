package stream

import (
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// wanted is what is about to be used of a store in which a miss is dear.
type wanted struct {
	bytes   []byte // keys and sub-keys, one behind the other
	entries []state.Wanted
}

func (w *wanted) reset()             { w.bytes, w.entries = w.bytes[:0], w.entries[:0] }
func (w *wanted) add(e state.Wanted) { w.entries = append(w.entries, e) }

// since is what was appended to bytes since they had that length. Growing them
// later leaves it as it is.
func (w *wanted) since(from int) []byte { return w.bytes[from:len(w.bytes):len(w.bytes)] }

// prefetch tells a store in which a miss is dear of the entries that a batch will
// use: of each record's key, those of the states. The store's current key is
// undefined afterwards.
func (t *keyTracker[K, In]) prefetch(b *engine.Batch[In], states []state.Handle) error {
	if t.misses == nil || len(states) == 0 || !t.misses.Ahead() {
		return nil
	}
	t.wanted.reset()
	for i, v := range b.Values {
		key := t.want(v)
		group := t.group(b, i, key)
		for _, h := range states {
			t.wanted.add(state.Wanted{Handle: h, Group: group, Key: key})
		}
	}
	return t.misses.Prefetch(t.wanted.entries)
}

// want keeps the key of a record for wanted.
func (t *keyTracker[K, In]) want(v In) []byte {
	from := len(t.wanted.bytes)
	t.wanted.bytes = t.append(t.wanted.bytes, v)
	return t.wanted.since(from)
}

// popDue fires the timers that are due, at most timersAtOnce between two looks ahead:
// also tells of what else firing one will use.
func (t *keyTracker[K, In]) popDue(timers *state.Timers, until int64, also func(group int, key []byte, at int64),
	fire func(group int, key, tag []byte, at int64) error) error {
	for {
		if err := t.prefetchDue(timers, until, also); err != nil {
			return err
		}
		if popped, err := timers.PopSome(until, timersAtOnce, fire); popped < timersAtOnce || err != nil {
			return err
		}
	}
}

// prefetchDue tells the store of timers that are due, and of what they will use.
func (t *keyTracker[K, In]) prefetchDue(timers *state.Timers, until int64, also func(group int, key []byte, at int64)) error {
	if next, ok := timers.Next(); t.misses == nil || !ok || next > until || !t.misses.Ahead() {
		return nil
	}
	w := &t.wanted
	w.reset()
	timers.EachDue(until, timersAtOnce, func(group int, key, tag []byte, at int64) {
		from := len(w.bytes)
		var handle state.Handle
		handle, w.bytes = timers.Entry(w.bytes, at, tag)
		w.add(state.Wanted{Handle: handle, Group: group, Key: key, Sub: w.since(from)})
		also(group, key, at)
	})
	return t.misses.Prefetch(w.entries)
}

// wantAll tells of the states with one value per key, of a timer's key.
func (t *keyTracker[K, In]) wantAll(states []state.Handle) func(group int, key []byte, at int64) {
	return func(group int, key []byte, _ int64) {
		for _, h := range states {
			t.wanted.add(state.Wanted{Handle: h, Group: group, Key: key})
		}
	}
}
