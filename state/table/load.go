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
// A run in order of hashes, as View.Group gives it, fills one page after the other: the size of
// the group is known from the first run, and each page is made when its first entry comes.
func (t *Table) LoadRun(run Run) {
	g := &t.groups[run.Group-t.lo]
	left := run.Data
	if spare, fits := t.begin(g, run); fits {
		f := filler{t: t, g: g, group: run.Group - t.lo, spare: spare}
		left = f.fill(run)
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

// begin counts a run's entries, tells whether they fit into slots, and takes as many pages
// as they are likely to need.
func (t *Table) begin(g *group, run Run) (spare []pageRef, fits bool) {
	n := run.Len()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hints.forget()
	if t.entries == 0 {
		t.adapt(run.KeySize, run.SubSize, run.ValueSize)
	}
	t.entries += int64(n)
	t.bytes += int64(len(run.Data))
	g.used += uint32(n)
	if n == 0 || run.KeySize > t.keyCap || run.SubSize > t.subCap || run.ValueSize > t.valCap {
		return nil, false
	}
	if g.dir == nil {
		t.presize(g, run.Group-t.lo, t.estimate(run))
	}
	from, to := uint64(run.hashOf(0))>>g.shift, uint64(run.hashOf(n-1))>>g.shift
	missing := 0
	for at := from; at <= to; at++ {
		if g.dir[at] == 0 {
			missing++
		}
	}
	return t.alloc.getPages(missing), true
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
// order of hashes, the first and the last one's tell how much of the group they are.
func (t *Table) estimate(run Run) int {
	n := run.Len()
	if n < estimateMin {
		return n
	}
	const samples = 16
	first := run.hashOf(0)
	last := first
	for i := range samples {
		h := run.hashOf((n - 1) * (i + 1) / samples)
		if h < last {
			return n
		}
		last = h
	}
	return int(min(uint64(n)<<32/(uint64(last-first)+1), uint64(n)*estimateMax))
}

// Presize says how many entries the table will have, evenly over its groups, or 0 if that is not
// known any more. Until then groups begin with as many pages as they will need, instead of one that
// grows and splits: that would copy each entry twice. A number that is far too large costs memory
// for pages with few entries, but no more than that number of entries would take.
func (t *Table) Presize(entries int64) { t.perGroup = int(entries / int64(len(t.groups))) }

// presize makes the directory of an empty group for n entries, and if these are few, its page.
func (t *Table) presize(g *group, gi, n int) {
	*g = group{shift: 32, epoch: t.epoch, used: g.used}
	full := int(limit(t.slots[classMax])) * 7 / 8
	if n > full {
		g.shift -= uint8(bits.Len(uint((n - 1) / full)))
	}
	g.dir = make([]pageRef, 1<<g.depth())
	t.dirBytes += int64(len(g.dir)-1) * dirEntry
	if n > full {
		return
	}
	class := t.classMin
	for class < classMax && uint32(n) > limit(t.slots[class]) {
		class++
	}
	g.dir[0], _ = t.newPage(class, gi, 0)
}
