package catalog

import (
	"maps"
	"slices"
	"strings"
)

// begin returns a copy whose spaces may be changed. Its records may not: they are
// still those of c.
func (c *Catalog) begin() *Catalog {
	n := *c
	if n.index = maps.Clone(c.index); n.index == nil {
		n.index = space{}
	}
	if n.marked = maps.Clone(c.marked); n.marked == nil {
		n.marked = space{}
	}
	return &n
}

// add appends a record to n, whose records are still another's.
func (n *Catalog) add(r *Record) {
	n.records = append(slices.Clip(n.records), r)
	if r.Savepoint {
		n.savepoints++
	}
}

// trim drops what lies beyond the retained newest records and is not needed.
// Savepoints are besides. The records are n's own.
func (n *Catalog) trim(retained int, ch *Change) {
	beyond := len(n.records) - n.savepoints - max(retained, 1)
	for i := 0; beyond > 0; {
		r := n.records[i]
		if !r.Savepoint {
			beyond--
		}
		if r.Savepoint || r.needed() {
			i++
			continue
		}
		n.drop(i, ch)
	}
}

// letGo drops the savepoints that nothing needs any more. The records are n's own.
func (n *Catalog) letGo(ch *Change) {
	for i := len(n.records) - 1; i >= 0 && n.savepoints > 0; i-- {
		if r := n.records[i]; r.Savepoint && !r.needed() {
			n.drop(i, ch)
		}
	}
}

// drop removes record i from n's own records and marks what only it referred to.
//
// The index knows the newest record of each object. What another, newer record
// refers to is thereby alive. What had this record as its newest passes to the
// next older one that refers to it; the oldest record, the usual one to go, has
// none, so nothing is looked for.
func (n *Catalog) drop(i int, ch *Change) {
	r := n.records[i]
	n.records = slices.Delete(n.records, i, i+1)
	if r.Savepoint {
		n.savepoints--
	}
	freed := n.index.lastUsedBy(r.Objects, r.ID)
	n.index.remove(freed)
	for j := i - 1; j >= 0 && len(freed) > 0; j-- {
		older := n.records[j]
		n.index.overlay(intersect(freed, older.Objects), older.ID)
		freed = n.index.without(freed)
	}
	ch.Dropped = append(ch.Dropped, r.ID)
	n.mark(freed, ch)
	n.markSingle(r.Metadata, ch)
}

// mark lists runs as garbage. Those that are listed already are no news, and those
// of another job are its catalog's to mark.
func (n *Catalog) mark(runs []run, ch *Change) {
	fresh := n.marked.without(n.owned(runs))
	n.marked.overlay(fresh, 0)
	ch.Marked.Runs = append(ch.Marked.Runs, fresh...)
}

func (n *Catalog) markSingle(o Object, ch *Change) {
	i, _ := n.findSingle(o.Key)
	n.single = slices.Insert(slices.Clone(n.single), i, o)
	ch.Marked.Single = append(ch.Marked.Single, o)
}

func (n *Catalog) findSingle(key string) (int, bool) {
	return slices.BinarySearchFunc(n.single, key, func(o Object, k string) int { return strings.Compare(o.Key, k) })
}

// sorted gives the change its canonical order.
func (ch Change) sorted() Change {
	slices.Sort(ch.Dropped)
	ch.Marked.Runs = merge(ch.Marked.Runs)
	slices.SortFunc(ch.Marked.Single, compareKeys)
	return ch
}

func compareKeys(a, b Object) int { return strings.Compare(a.Key, b.Key) }
