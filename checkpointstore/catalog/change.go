package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/dataflow"
)

// begin returns a copy whose spaces may be changed.
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

// add adds a record behind all others.
func (n *Catalog) add(r *Record) {
	n.records = n.records.append(r)
	n.classes.add(r)
}

// change replaces the record of the id, which is there, by one that f has changed.
func (n *Catalog) change(id dataflow.CheckpointID, f func(*Record)) {
	p := n.place(id)
	old := n.records.get(p)
	r := *old
	f(&r)
	n.records = n.records.set(p, &r)
	n.classes.remove(old)
	n.classes.add(&r)
}

// trim drops what lies beyond the retained newest records and is not needed, and
// savepoints that are not needed. One that is newer than every checkpoint stays until
// there is a newer one, or LetGo: the next checkpoint may name what was uploaded for it.
func (n *Catalog) trim(retained int, ch *Change) {
	var drop []*Record
	for _, id := range n.classes.beyond(max(retained, 1)) {
		drop = append(drop, n.Record(id))
	}
	for id := range n.classes[loose].all() {
		r := n.Record(id)
		if n.lingers(r) {
			break // and so do those that are newer
		}
		drop = append(drop, r)
	}
	n.drop(drop, ch)
}

// drop removes records and marks what only they referred to.
//
// The index knows the newest record of each object. What another, newer record
// refers to is thereby alive. What had one of these records as its newest passes
// to the next older one that refers to it; the oldest record, the usual one to go,
// has none, so nothing is looked for.
func (n *Catalog) drop(records []*Record, ch *Change) {
	if len(records) == 0 {
		return
	}
	var freed []run
	var newest dataflow.CheckpointID
	for _, r := range records {
		freed = append(freed, n.index.lastUsedBy(r.Objects, r.ID)...)
		newest = max(newest, r.ID)
		n.records = n.records.remove(n.place(r.ID))
		n.classes.remove(r)
		n.markSingle(r.Metadata, ch)
		ch.Dropped = append(ch.Dropped, r.ID)
	}
	freed = merge(freed)
	n.index.remove(freed)
	for older := range n.records.before(n.place(newest)) {
		if len(freed) == 0 {
			break
		}
		n.index.overlay(intersect(freed, older.Objects), older.ID)
		freed = n.index.without(freed)
	}
	n.mark(freed, ch)
}

// mark lists runs as garbage. Those that are listed already are no news, and those
// of another job are its catalog's to mark.
func (n *Catalog) mark(runs []run, ch *Change) {
	fresh := n.marked.without(n.owned(runs))
	n.marked.overlay(fresh, 0)
	ch.Marked.Runs = append(ch.Marked.Runs, fresh...)
}

func (n *Catalog) markSingle(o Object, ch *Change) {
	p, _ := n.findSingle(o.Key)
	n.single = n.single.replace(p, p, o)
	ch.Marked.Single = append(ch.Marked.Single, o)
}

func (c *Catalog) findSingle(key string) (place, bool) {
	p := c.single.search(func(o Object) bool { return o.Key >= key })
	return p, c.single.within(p) && c.single.get(p).Key == key
}

// sorted gives the change its canonical order.
func (ch Change) sorted() Change {
	slices.Sort(ch.Dropped)
	ch.Marked.Runs = merge(ch.Marked.Runs)
	slices.SortFunc(ch.Marked.Single, compareKeys)
	return ch
}

func compareKeys(a, b Object) int { return strings.Compare(a.Key, b.Key) }
