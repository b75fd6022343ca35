package table

import "math/bits"

// Run is a run of records of one key group, all of the same sizes: key, sub-key, value,
// one record after the other.
type Run struct {
	Group                       int
	KeySize, SubSize, ValueSize int
	Data                        []byte
}

// Len is the number of records.
func (r Run) Len() int { return len(r.Data) / (r.KeySize + r.SubSize + r.ValueSize) }

// LoadRun adds entries that are not in the table. It may be called at once for different
// groups, as long as nothing else is.
//
// Pages for a whole group are made at once. A run in order of hashes, as View.Group gives
// it, fills one after the other.
func (t *Table) LoadRun(run Run) {
	n := run.Len()
	g := &t.groups[run.Group-t.lo]
	t.mu.Lock()
	if t.entries == 0 {
		t.adapt(run.KeySize, run.SubSize, run.ValueSize)
	}
	t.entries += int64(n)
	t.bytes += int64(len(run.Data))
	g.used += uint32(n)
	fits := run.KeySize <= t.keyCap && run.SubSize <= t.subCap && run.ValueSize <= t.valCap
	if fits && g.dir == nil && n > 0 {
		t.presize(g, run.Group-t.lo, t.estimate(run))
	}
	t.mu.Unlock()
	left := run.Data
	if fits {
		left = t.fill(g, run)
	}
	if len(left) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	size, subAt := run.KeySize+run.SubSize+run.ValueSize, run.KeySize+run.SubSize
	for d := left; len(d) >= size; d = d[size:] {
		t.load(run.Group, d[:run.KeySize], d[run.KeySize:subAt], d[subAt:size])
	}
}

// load adds an entry that has been counted.
func (t *Table) load(group int, key, sub, value []byte) {
	k := MakeKey(group, key)
	hash := entryHash(&k, sub)
	r, p := t.pageFor(group-t.lo, hash)
	i := t.place(r, p, &k, sub, hash, len(value))
	copy(t.valueOf(p, t.slotAt(i), t.headAt(p, i)), value)
}

// hashOf is the hash of record i.
func (r Run) hashOf(i int) uint32 {
	at := i * (r.KeySize + r.SubSize + r.ValueSize)
	k := Key{hash: hashBytes(r.Data[at : at+r.KeySize])}
	return entryHash(&k, r.Data[at+r.KeySize:at+r.KeySize+r.SubSize])
}

const (
	// estimateMin is how many records a run has at least from which the size of
	// its group is guessed, and estimateMax how many times as many are guessed at most.
	estimateMin = 1024
	estimateMax = 64
)

// estimate guesses how many entries the run's group will have: if the records are in
// order of hashes, the last one's tells how much of the group they are.
func (t *Table) estimate(run Run) int {
	n := run.Len()
	if n < estimateMin {
		return n
	}
	const samples = 16
	last := uint32(0)
	for i := range samples {
		h := run.hashOf((n - 1) * (i + 1) / samples)
		if h>>16 < last>>16 {
			return n
		}
		last = h
	}
	return int(min(uint64(n)<<32/(uint64(last)+1), uint64(n)*estimateMax))
}

// presize makes the pages of an empty group for n entries.
func (t *Table) presize(g *group, gi, n int) {
	*g = group{shift: 32, epoch: t.epoch, used: g.used}
	class := t.classMin
	for class < classMax && uint32(n) > limit(t.slots[class]) {
		class++
	}
	if full := int(limit(t.slots[classMax])) * 7 / 8; n > full {
		depth := bits.Len(uint((n - 1) / full))
		g.shift -= uint8(depth)
	}
	g.dir = make([]pageRef, 1<<g.depth())
	t.dirBytes += int64(len(g.dir)-1) * dirEntry
	for i := range g.dir {
		g.dir[i], _ = t.newPage(class, gi, g.depth())
	}
}

// fill puts records into the group's pages, as far as these have room, and returns the
// others.
func (t *Table) fill(g *group, run Run) (left []byte) {
	size := run.KeySize + run.SubSize + run.ValueSize
	from := head(run.KeySize)<<40 | head(run.SubSize)<<48 | head(run.ValueSize)<<56 | used
	subAt := run.KeySize + run.SubSize
	for d := run.Data; len(d) >= size; d = d[size:] {
		k := Key{hash: hashBytes(d[:run.KeySize])}
		hash := entryHash(&k, d[run.KeySize:subAt])
		r := g.dir[uint64(hash)>>g.shift]
		if r == 0 {
			left = append(left, d[:size]...)
			continue
		}
		p := t.alloc.page(r)
		n := t.slots[r.class()]
		if pageUsed(p) >= limit(n) {
			left = append(left, d[:size]...)
			continue
		}
		slot := p[t.slotAt(t.freeSlot(p, n, hash)):]
		putU64(slot, 0, uint64(from|head(hash)))
		copy(slot[t.valOff:], d[subAt:size])
		copy(slot[keyOff:], d[:run.KeySize])
		copy(slot[t.subOff:], d[run.KeySize:subAt])
		putU32(p, 0, pageUsed(p)+1)
	}
	return left
}
