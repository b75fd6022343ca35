package catalog

import (
	"iter"
	"slices"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// Newest is the newest completed checkpoint that is no savepoint, from which a new
// attempt restores; nil if there is none. It must not be changed.
func (c *Catalog) Newest() *Record {
	for r := range c.Backward() {
		if !r.Savepoint {
			return r
		}
	}
	return nil
}

// Last is the record with the highest id, savepoint or not; nil if there is none.
// It must not be changed.
func (c *Catalog) Last() *Record {
	r, _ := c.records.last()
	return r
}

// Record is the record of an id, or nil. It must not be changed.
func (c *Catalog) Record(id dataflow.CheckpointID) *Record {
	if p := c.place(id); c.records.within(p) && c.records.get(p).ID == id {
		return c.records.get(p)
	}
	return nil
}

// Records are all records, oldest first, in a new slice. They must not be changed.
func (c *Catalog) Records() []*Record { return c.records.slice() }

// Len is how many records there are.
func (c *Catalog) Len() int { return c.records.n }

// All yields all records, oldest first. They must not be changed.
func (c *Catalog) All() iter.Seq[*Record] { return c.records.all() }

// Backward yields all records, newest first. They must not be changed.
func (c *Catalog) Backward() iter.Seq[*Record] { return c.records.before(c.records.end()) }

// Owed is the newest record whose sink commits are not confirmed, or nil. Its
// metadata object lists all that is left to commit, also of older checkpoints.
func (c *Catalog) Owed() *Record {
	id, found := c.classes[owed].last()
	if !found {
		return nil
	}
	return c.Record(id)
}

// OwedUpTo tells whether the sink commits of a record up to and with id are not
// confirmed.
func (c *Catalog) OwedUpTo(id dataflow.CheckpointID) bool {
	first, found := c.classes[owed].first()
	return found && first <= id
}

// Garbage is everything that is marked and not forgotten: it may be deleted
// from the store as soon as the entry that marked it is committed.
func (c *Catalog) Garbage() Garbage {
	return Garbage{Runs: c.marked.runs(), Single: c.single.slice()}
}

// Refers tells whether any record refers to the object of this writer and number.
func (c *Catalog) Refers(prefix string, number uint64) bool {
	return c.index.of(prefix).overlaps(number, number)
}

// RefersKey tells whether any record refers to the object with this key: a state
// object by its writer's prefix and number, or a metadata object.
func (c *Catalog) RefersKey(key string) bool {
	if prefix, number, ok := snapshot.ObjectNumber(key); ok {
		return c.Refers(prefix, number)
	}
	for r := range c.All() {
		if r.Metadata.Key == key {
			return true
		}
	}
	return false
}

// MarkedKey tells whether the object with this key is marked for deletion.
func (c *Catalog) MarkedKey(key string) bool {
	if prefix, number, ok := snapshot.ObjectNumber(key); ok {
		return c.marked.of(prefix).overlaps(number, number)
	}
	_, marked := c.findSingle(key)
	return marked
}

// Needs tells whether a restore of the record reads the object with this key.
func (r *Record) Needs(key string) bool {
	if r.Metadata.Key == key {
		return true
	}
	prefix, number, ok := snapshot.ObjectNumber(key)
	return ok && slices.ContainsFunc(r.Objects, func(run snapshot.Run) bool {
		return run.Prefix == prefix && run.Lo <= number && number <= run.Hi
	})
}

// place is where the record of an id is, or would be.
func (c *Catalog) place(id dataflow.CheckpointID) place {
	return c.records.search(func(r *Record) bool { return r.ID >= id })
}
