package catalog

import "github.com/cairnstream/cairn/dataflow"

// class is a set of a catalog's records by what keeps them.
type class int

// The classes. A record is in at most one of the first three, and in owed besides.
const (
	idle  class = iota // counted by retention, and nothing else keeps it
	busy               // counted by retention, and something else keeps it too
	loose              // a savepoint that nothing needs any more
	owed               // its sink commits are owed
	classesAll
)

// classes are the ids of each class in their order. They save every change from
// looking at all records.
type classes [classesAll]seq[dataflow.CheckpointID]

// of are the classes that r is in.
func (classes) of(r *Record) (in [classesAll]bool) {
	in[owed] = r.Owed
	switch {
	case r.Savepoint:
		in[loose] = !r.needed()
	case r.Holds[PinHold]:
	default:
		in[busy], in[idle] = r.needed(), !r.needed()
	}
	return in
}

func (c *classes) add(r *Record) {
	for class, in := range c.of(r) {
		if s := &c[class]; in {
			p := placeOf(*s, r.ID)
			*s = s.replace(p, p, r.ID)
		}
	}
}

func (c *classes) remove(r *Record) {
	for class, in := range c.of(r) {
		if s := &c[class]; in {
			*s = s.remove(placeOf(*s, r.ID))
		}
	}
}

// beyond are the idle ones that are older than the retained newest that retention
// counts, oldest first.
func (c *classes) beyond(retained int) []dataflow.CheckpointID {
	var ids []dataflow.CheckpointID
	newer := c[idle].n
	for id := range c[idle].all() {
		if newer--; newer < retained && newer+c.busyAbove(id, retained-newer) < retained {
			break
		}
		ids = append(ids, id)
	}
	return ids
}

// busyAbove counts the busy ones newer than id, up to enough.
func (c *classes) busyAbove(id dataflow.CheckpointID, enough int) (n int) {
	for b := range c[busy].before(c[busy].end()) {
		if n == enough || b <= id {
			break
		}
		n++
	}
	return n
}

// placeOf is where id is in s, or would be.
func placeOf(s seq[dataflow.CheckpointID], id dataflow.CheckpointID) place {
	return s.search(func(other dataflow.CheckpointID) bool { return other >= id })
}
