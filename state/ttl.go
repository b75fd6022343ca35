package state

import "time"

// TTL says how long entries live: Flink's StateTtlConfig. An entry that has expired
// is never seen again; it is removed when it is met, or by Lifetimes.Sweep.
type TTL struct {
	// After is how long an entry lives after its last use. 0: for ever.
	After time.Duration
	// OnRead makes reading a use; else only creating and writing are. Each read
	// is then a change, which the changelog carries.
	OnRead bool
}

// Lifetimes is the clock of the states of one store that have a TTL, and the one
// who cleans up. One goroutine uses it.
type Lifetimes struct {
	store  Store
	now    func() int64
	states []*lifetime
	at     int64 // the time of the sweep that runs
}

// lifetime is how far a state is swept.
type lifetime struct {
	handle  Handle
	after   int64 // milliseconds
	expired func(value []byte) bool

	swept  int64   // when last
	pass   float64 // entries to look at in this pass
	looked float64 // at in this pass
}

// NewLifetimes makes the lifetimes of a store. now is the time in Unix
// milliseconds; it need not look at the clock each time.
func NewLifetimes(s Store, now func() int64) *Lifetimes {
	return &Lifetimes{store: Unwrap(s), now: now}
}

// add makes Sweep clean a state.
func (l *Lifetimes) add(h Handle, after time.Duration) {
	t := &lifetime{handle: h, after: max(1, after.Milliseconds()), swept: l.now()}
	t.expired = func(value []byte) bool {
		used, _, ok := Stamp(value)
		return ok && l.at-used >= t.after
	}
	l.states = append(l.states, t)
}

const (
	// sweepsPerTTL is how often all entries are looked at while one lives: what has
	// expired takes memory for a quarter of its time more.
	sweepsPerTTL = 4
	// sweptPerRecord bounds what one record may cost: so many entries looked at,
	// which is more than it can have made unless it is a big one.
	sweptPerRecord = 8
)

// Sweep removes expired entries, a few at a time: it is called after each batch, with
// the number of its records, which bounds what it does. The store's current key is
// undefined afterwards.
func (l *Lifetimes) Sweep(records int) error {
	if len(l.states) == 0 {
		return nil
	}
	l.at = l.now()
	entries, _ := l.store.Size()
	for _, t := range l.states {
		limit := t.due(l.at, float64(entries), sweptPerRecord*records)
		if limit == 0 {
			continue
		}
		if err := l.store.Sweep(t.handle, limit, t.expired); err != nil {
			return err
		}
	}
	return nil
}

// due is how many entries to look at now, at most limit. The pace is that of the
// entries at the beginning of a pass: as they become fewer, it does not slow down.
func (t *lifetime) due(now int64, entries float64, limit int) int {
	if t.looked >= t.pass {
		t.pass, t.looked = entries, 0
	}
	t.pass = max(t.pass, entries)
	due := t.pass * float64(now-t.swept) * sweepsPerTTL / float64(t.after)
	n := int(min(due, float64(limit)))
	if n > 0 { // else more will be due by the next time
		t.swept, t.looked = now, t.looked+float64(n)
	}
	return n
}
