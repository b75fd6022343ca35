package table

import (
	"encoding/binary"
	"slices"
)

// The batch's list names the place of every entry that carries the mark. An entry
// that moves is named again; what is found at a place without the mark is passed over.
// Pages that are given up lose the marks, and are not used for others before the
// batch ends.

// MarkChanged notes that an entry has changed in this batch, and returns its place,
// which may be new.
func (t *Table) MarkChanged(ref Ref) Ref {
	r, p, i := t.write(ref)
	ref = makeEntryRef(r, i, ref.group())
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

// AppendChanged appends the encodings of changed entries, as NextChanged returns them, until there
// are enough bytes, and returns how many entries it took. It leaves entries that are not ordinary to
// NextChanged: those with flags, or with a part that is not in the slot. So, with less
// than enough bytes, NextChanged returns such an entry, or false. handle is the state's number.
//
// It is NextChanged, Item and the encoding in one, without the steps between: what
// remains is copying.
func (t *Table) AppendChanged(dst []byte, handle uint64, enough int) (out []byte, entries int) {
	bufs := *t.alloc.bufs.Load()
	for t.next < len(t.changed) && len(dst) < enough {
		ref := t.changed[t.next]
		r := ref.page()
		p, at := bufs[r>>14], int(r>>4&1023)*unitSize+t.slotAt(ref.slot())
		h := head(u64(p, at))
		if h&changed != 0 {
			if h&(userMask|keysOut|valueOut) != 0 {
				break
			}
			putU64(p, at, uint64(h&^changed))
			dst = t.appendSlot(dst, handle, t.lo+ref.group(), p[at:at+t.stride:at+t.stride], h)
			entries++
		}
		t.next++
	}
	return dst, entries
}

// appendSlot appends an entry that lies in its slot as state.AppendEntry does. Lengths
// in a slot are below 256, so that they take one byte or two.
func (t *Table) appendSlot(dst []byte, handle uint64, group int, slot []byte, h head) []byte {
	const most = 3*binary.MaxVarintLen64 + 3*2
	if cap(dst)-len(dst) < most+t.stride {
		dst = slices.Grow(dst, most+t.stride)
	}
	n, b := len(dst), dst[:cap(dst)]
	if group < 1<<14 && handle < 1<<6 {
		b[n], b[n+1], b[n+2] = byte(handle<<1), byte(group)|0x80, byte(group>>7)
		if n += 3; group < 1<<7 {
			b[n-2] = byte(group)
			n--
		}
	} else {
		n += binary.PutUvarint(b[n:], handle<<1)
		n += binary.PutUvarint(b[n:], uint64(group))
	}
	n += putPart(b[n:], slot[keyOff:], h.keyLen())
	n += putPart(b[n:], slot[t.subOff:], h.subLen())
	n += putPart(b[n:], slot[t.valOff:], h.valueLen())
	return b[:n]
}

// putPart writes a length, below 256, and so many bytes of from. Eight bytes, as most keys
// have, are one word, and what has a size that the compiler knows is moved without a call.
func putPart(b, from []byte, size int) int {
	n := 1
	b[0] = byte(size)
	if size >= 1<<7 {
		b[0], b[1] = byte(size)|0x80, 1
		n = 2
	}
	switch size {
	case 8:
		putU64(b, n, u64(from, 0))
	case 32:
		copy(b[n:n+32], from[:32])
	default:
		copy(b[n:], from[:size])
	}
	return n + size
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
	t.hints.forget()
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
