package memory

import (
	"encoding/binary"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

// order keeps the sub-keys of a state sorted, key by key, in a table of its own: a
// key's entry without sub-key is its root. The root is a leaf, a sorted block of
// sub-keys, until that has blockMax bytes; then it is the index of several leaves, each an
// entry with its id as sub-key. So a change costs the same, some hundred
// nanoseconds, for a map of ten and of a million entries.
//
// The table is never frozen, so that values that Get returns may be changed in place.
type order struct {
	table   *table.Table
	lastID  uint64
	scratch block // a copy of the block that is being rewritten
}

func newOrder(cfg Config) *order {
	return &order{table: table.New(table.Config{
		GroupLo: cfg.GroupLo, GroupHi: cfg.GroupHi, KeySize: state.Variable, SubSize: leafID, ValueSize: state.Variable,
	})}
}

func (o *order) get(key *table.Key, id []byte) (block, bool) {
	v, _, ok := o.table.Get(key, id)
	return v, ok
}

// leaf returns the block that a sub-key belongs in, and its id: nil for the root. pos is
// its place in the root, if that is an index.
func (o *order) leaf(key *table.Key, sub []byte) (b block, id []byte, pos int, ok bool) {
	root, ok := o.get(key, nil)
	if !ok || !root.isIndex() {
		return root, nil, 0, ok
	}
	pos = root.leafOf(sub)
	id = root.child(pos)
	b, ok = o.get(key, id)
	return b, id, pos, ok
}

// subs visits the sub-keys of a key in order.
func (o *order) subs(key *table.Key) func(yield func(sub []byte) bool) {
	return func(yield func(sub []byte) bool) {
		root, ok := o.get(key, nil)
		if !ok {
			return
		}
		if !root.isIndex() {
			root.subs(yield)
			return
		}
		for i := range root.len() {
			if leaf, _ := o.get(key, root.child(i)); !leaf.subs(yield) {
				return
			}
		}
	}
}

func (b block) subs(yield func(sub []byte) bool) bool {
	for i := range b.len() {
		if !yield(b.item(i)) {
			return false
		}
	}
	return true
}

// add adds a sub-key. One that is there stays.
func (o *order) add(key *table.Key, sub []byte) {
	b, id, _, ok := o.leaf(key, sub)
	if !ok {
		b = o.write(key, nil, false, max(blockFirst, blockHead+itemSize(len(sub))))
	}
	pos, found := b.search(sub)
	if found {
		return
	}
	if !b.room(len(sub)) {
		if b, ok = o.makeRoom(key, id, b, pos, len(sub)); !ok { // split
			o.add(key, sub)
			return
		}
	}
	b.insert(pos, nil, sub)
}

// write makes an empty block of that size.
func (o *order) write(key *table.Key, id []byte, index bool, size int) block {
	_, v, _ := o.table.Upsert(key, id, size)
	block(v).init(index)
	return v
}

// splitMin is how many items a leaf has at least before it is split: long sub-keys make
// longer leaves.
const splitMin = 8

// makeRoom rewrites a leaf so that an item of that size has room at pos. ok is false if
// it was split in two instead.
func (o *order) makeRoom(key *table.Key, id []byte, b block, pos, size int) (_ block, ok bool) {
	need := b.live() + itemSize(size)
	if need > blockMax && b.len() >= splitMin {
		o.split(key, id, b, pos)
		return nil, false
	}
	room := 2 * need
	if need <= blockMax {
		room = min(room, blockMax)
	}
	return o.rewrite(key, id, b, room), true
}

// rewrite gives a block another size. Its dead bytes go.
func (o *order) rewrite(key *table.Key, id []byte, b block, size int) block {
	o.scratch = append(o.scratch[:0], b...)
	id = append([]byte(nil), id...) // is in a block that may move
	to := o.write(key, id, o.scratch.isIndex(), size)
	to.addFrom(o.scratch, 0, o.scratch.len())
	return to
}

// split divides a leaf in two. Where items come in ascending order, the first part stays
// nearly full.
func (o *order) split(key *table.Key, id []byte, b block, pos int) {
	o.scratch = append(o.scratch[:0], b...)
	old, n := o.scratch, b.len()
	at := n / 2
	if pos == n {
		at = n - n/8
	}
	first := append([]byte(nil), id...)
	if len(first) == 0 { // the root becomes an index
		first = o.newID()
		o.write(key, nil, true, 2*blockFirst).insert(0, first, nil)
	}
	second := o.newID()
	o.write(key, first, false, o.sizeFor(old, 0, at)).addFrom(old, 0, at)
	o.write(key, second, false, o.sizeFor(old, at, n)).addFrom(old, at, n)
	o.addLeaf(key, second, append([]byte(nil), old.item(at)...))
}

// sizeFor is the size of a leaf for some items of another block and more to come.
func (o *order) sizeFor(b block, from, to int) int {
	n := blockHead
	for i := from; i < to; i++ {
		n += itemSize(len(b.item(i)))
	}
	return max(n, blockMax)
}

// addLeaf tells the index of a leaf.
func (o *order) addLeaf(key *table.Key, id, first []byte) {
	root, _ := o.get(key, nil)
	need := itemSize(leafID+len(first)) + itemSize(leafID)
	if !root.room(need) {
		root = o.rewrite(key, nil, root, 2*(root.live()+need))
	}
	pos, _ := root.search(first)
	if pos == 0 { // the leaf that was split has come to be the first, which has all before it
		front := append([]byte(nil), root.child(0)...)
		root.remove(0)
		root.insert(0, front, nil)
		pos = 1
	}
	root.insert(pos, id, first)
}

func (o *order) newID() []byte {
	o.lastID++
	return binary.BigEndian.AppendUint64(nil, o.lastID)
}

// remove removes a sub-key, if it is there.
func (o *order) remove(key *table.Key, sub []byte) {
	b, id, at, ok := o.leaf(key, sub)
	if !ok {
		return
	}
	pos, found := b.search(sub)
	if !found {
		return
	}
	b.remove(pos)
	switch {
	case b.len() > 0 && len(b) > 4*blockFirst && pos%8 == 0:
		if live := b.live(); live < len(b)/4 {
			o.rewrite(key, id, b, len(b)/2)
		}
	case b.len() == 0:
		o.removeLeaf(key, id, at)
	}
}

// removeLeaf removes an empty leaf, and the root with the last one.
func (o *order) removeLeaf(key *table.Key, id []byte, at int) {
	if len(id) > 0 {
		r, _ := o.table.Find(key, id)
		o.table.Remove(r)
		root, _ := o.get(key, nil)
		if root.remove(at); root.len() > 0 {
			return
		}
	}
	r, _ := o.table.Find(key, nil)
	o.table.Remove(r)
}
