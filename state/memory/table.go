package memory

// ref is the place of an entry: page<<32 | offset. No entry is at 0.
type ref uint64

// slot is one place of the table; at is 0 in a free one.
type slot struct {
	at   ref
	hash uint32
}

// table finds the slots that may hold a hash, by linear probing from its home.
//
// Invariant: between a slot's home and the slot there is no free slot. Deleting
// therefore moves later slots back instead of leaving marks behind, so that a
// table never fills up with them.
type table struct {
	slots []slot // a power of two
	used  int
}

const slotsMin = 64

func (t *table) init() { t.slots = make([]slot, slotsMin) }

func (t *table) home(hash uint32) int { return int(hash) & (len(t.slots) - 1) }

func (t *table) next(i int) int { return (i + 1) & (len(t.slots) - 1) }

// insert adds a slot; the table keeps a quarter of its slots free.
func (t *table) insert(s slot) {
	if t.used++; t.used > len(t.slots)/4*3 {
		t.grow()
	}
	t.place(s)
}

func (t *table) place(s slot) {
	i := t.home(s.hash)
	for t.slots[i].at != 0 {
		i = t.next(i)
	}
	t.slots[i] = s
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]slot, 2*len(old))
	for _, s := range old {
		if s.at != 0 {
			t.place(s)
		}
	}
}

// indexOf returns the slot of the entry at at, which must be in the table.
func (t *table) indexOf(hash uint32, at ref) int {
	i := t.home(hash)
	for t.slots[i].at != at {
		if t.slots[i].at == 0 {
			panic("memory state: entry is not in the table")
		}
		i = t.next(i)
	}
	return i
}

// remove frees slot i and moves back those behind it that would be cut off
// from their homes.
func (t *table) remove(i int) {
	t.used--
	for j := t.next(i); t.slots[j].at != 0; j = t.next(j) {
		home := t.home(t.slots[j].hash)
		if distance := (j - home) & (len(t.slots) - 1); distance >= (j-i)&(len(t.slots)-1) {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
}
