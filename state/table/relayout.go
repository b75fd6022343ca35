package table

// wanted is the layout for what is expected and was seen.
func (t *Table) wanted() layout {
	key := inline(t.expect.KeySize, t.seen[0], keyInline, keyInline)
	sub := inline(t.expect.SubSize, t.seen[1], subInline, subInline)
	value := inline(t.expect.ValueSize, t.seen[2], fixInline, varInline)
	if t.seen[2] > 0 {
		value = max(value, slabRef) // a place for the reference at least
	}
	return makeLayout(key, sub, value)
}

// Expect says what sizes sub-keys and values will have, or state.Variable. If slots of
// another size would be better, all entries move, now.
func (t *Table) Expect(subSize, valueSize int) {
	t.expect.SubSize, t.expect.ValueSize = subSize, valueSize
	t.setLayout(t.wanted())
}

// adapt makes slots larger for an entry that would not fit, as long as there are few
// entries, and reports whether it did.
func (t *Table) adapt(key, sub, value int) bool {
	fits := key <= t.keyCap && sub <= t.subCap && value <= t.valCap
	switch {
	case t.entries == 0:
		t.seen = [3]int{}
	case fits:
		return false
	case t.entries > adaptUntil && (value == 0 || t.valCap > 0):
		return false
	}
	t.see(key, sub, value)
	return t.setLayout(t.wanted())
}

// see notes what should fit. What is longer than any slot would be does not decide.
func (t *Table) see(key, sub, value int) {
	if key <= keyInline && sub <= subInline {
		t.seen[0], t.seen[1] = max(t.seen[0], key), max(t.seen[1], sub)
	}
	if value > varInline {
		value = slabRef
	}
	t.seen[2] = max(t.seen[2], value)
}

// setLayout changes the slots and reports whether they did change.
func (t *Table) setLayout(l layout) bool {
	if l == t.layout {
		return false
	}
	old := t.layout
	t.layout = l
	t.moved()
	t.changed, t.next = t.changed[:0], 0
	for gi := range t.groups {
		t.relayGroup(gi, &old)
	}
	return true
}

// relayGroup moves the entries of a key group to pages of the table's layout.
func (t *Table) relayGroup(gi int, old *layout) {
	g := &t.groups[gi]
	before := *g
	t.dirBytes -= int64(max(len(g.dir)-1, 0)) * dirEntry
	g.dir = nil
	for r, p := range before.pages(&t.alloc) {
		for i := range old.slots[r.class()] {
			at := old.slotAt(i)
			if h := head(u64(p, at)); h != 0 {
				t.relaySlot(gi, old, p, at, h)
			}
		}
		t.freePage(r, p)
	}
}

// relaySlot copies an entry of another layout.
func (t *Table) relaySlot(gi int, old *layout, p []byte, from int, h head) {
	e := old.item(p, from, h, &t.slab.pages)
	r, q := t.pageFor(gi, h.hash())
	i := t.place(r, q, &Key{Bytes: e.Key}, e.Sub, h.hash(), len(e.Value))
	at := t.slotAt(i)
	to := head(u64(q, at)) | h&(userMask|changed)
	copy(t.valueOf(q, at, to), e.Value)
	putU64(q, at, uint64(to))
	if h&changed != 0 {
		t.changed = append(t.changed, makeEntryRef(r, i, gi))
	}
	if h&keysOut != 0 {
		t.slab.release(u64(p, from+keyOff))
	}
	if h&valueOut != 0 {
		t.slab.release(u64(p, from+old.valOff))
	}
}
