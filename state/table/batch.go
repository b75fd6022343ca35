package table

// The batch's list names the place of every entry that carries the mark. An entry
// that moves is named again; what is found at a place without the mark is passed over.
// Pages that are given up lose the marks, and are not used for others before the
// batch ends.

// MarkChanged notes that an entry has changed in this batch, and returns its place,
// which may be new.
func (t *Table) MarkChanged(ref Ref) Ref {
	r, p, i := t.write(ref)
	ref = makeEntryRef(r, i)
	at := t.slotAt(i)
	if h := head(u64(p, at)); h&changed == 0 {
		putU64(p, at, uint64(h|changed))
		t.changed = append(t.changed, ref)
	}
	return ref
}

// HasChanged reports whether any entry has changed in this batch.
func (t *Table) HasChanged() bool { return len(t.changed) > 0 }

// NextChanged returns an entry that changed in this batch and takes its mark off. ok is
// false when there is none left. Between calls the entry may be removed or get
// flags, but none may be added.
func (t *Table) NextChanged() (ref Ref, ok bool) {
	for t.next < len(t.changed) {
		ref = t.changed[t.next]
		t.next++
		p := t.alloc.page(ref.page())
		at := t.slotAt(ref.slot())
		if h := head(u64(p, at)); h&changed != 0 {
			putU64(p, at, uint64(h&^changed))
			return ref, true
		}
	}
	return 0, false
}

// changedKeep is how long a list is kept for the next batch: a conversion changes all
// entries at once.
const changedKeep = 1 << 18

// EndBatch frees what the batch left behind; values that Get returned end. NextChanged
// has returned false.
func (t *Table) EndBatch() {
	if t.changed, t.next = t.changed[:0], 0; cap(t.changed) > changedKeep {
		t.changed = nil
	}
	for _, r := range t.retired {
		t.alloc.put(r)
	}
	t.retired = t.retired[:0]
	if len(t.views) > 0 || len(t.limbo) > 0 {
		t.reap()
	}
	if t.slab.released > 0 {
		t.compact()
	}
}
