// Package catalog is the pure value behind the catalog of completed
// checkpoints: which checkpoints of a job exist, which objects they hold, what
// keeps each alive, and what is garbage. It sees runs of objects and opaque
// bytes; I/O stays in checkpointstore.
//
// A Catalog belongs to the replicated state machine: its methods are
// deterministic and its encoding is canonical. It is an immutable value: every
// change returns the next catalog and leaves the old one as it was, so readers
// need no lock and a snapshot is a pointer.
//
// Invariants. An object that any record refers to is never marked. An object
// is marked when its last reference goes, or when its writer released it
// unreferenced; marked is final: a record that names a marked object is
// refused, also if nobody has deleted the object yet. Completions come in the
// order of their ids. The newest record is never dropped by retention.
//
// A savepoint's record is kept by its holds alone: retention does not count it, a
// restart does not restore it. It is dropped when nothing needs it any more, but not
// before there is a newer checkpoint, which may name objects of it.
// Retention does not count a pinned record either, as long as it is pinned.
//
// A job that started from another job's checkpoint refers to objects that it did
// not write. Its catalog knows the prefix of its own and never marks any other: an
// object is deleted by its writer's catalog alone, which knows of the other jobs by
// the holds on its records.
package catalog

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

var (
	// ErrMarked is returned for a record that names an object that is marked
	// for deletion.
	ErrMarked = errors.New("object is marked for deletion")
	// ErrNeeded is returned when a record is still needed: it is the newest,
	// held, or its sink commits are owed.
	ErrNeeded = errors.New("checkpoint is still needed")
	// ErrUnknown is returned when there is no record of the id.
	ErrUnknown = errors.New("no such checkpoint")
	// ErrInvalid is returned for a record that can not be one: a malformed run,
	// a metadata key that is missing or taken, an id that is not the newest.
	ErrInvalid = errors.New("invalid record")
)

// Record is a completed checkpoint in the catalog.
type Record struct {
	ID       dataflow.CheckpointID `cbor:"1,keyasint"`
	Attempt  dataflow.Attempt      `cbor:"2,keyasint"`
	Metadata Object                `cbor:"3,keyasint"`
	// Objects are all runs that the metadata's handles refer to.
	Objects []snapshot.Run `cbor:"4,keyasint"`
	// Owed says that sink transactions of this checkpoint are not known to be
	// committed. A record that is owed is not dropped.
	Owed bool `cbor:"5,keyasint,omitempty"`
	// Holds names who else needs the record: the current attempt whose
	// restore point it is (until the attempt's own first completion), pins.
	Holds map[string]bool `cbor:"6,keyasint,omitempty"`
	// Savepoint says that the record belongs to a person: see the package's comment.
	Savepoint bool `cbor:"25,keyasint,omitempty"`
}

// PinHold is the hold of a person who wants to keep a checkpoint.
const PinHold = "pin"

// needed tells whether something besides retention keeps the record.
func (r *Record) needed() bool { return r.Owed || len(r.Holds) > 0 }

// Object is a whole object with what is needed to verify it.
type Object struct {
	Key    string `json:"key" cbor:"1,keyasint"`
	Size   int64  `json:"size" cbor:"2,keyasint"`
	SHA256 string `json:"sha256" cbor:"3,keyasint"`
}

// Garbage names objects that are marked for deletion: runs of state objects,
// and single metadata objects.
type Garbage struct {
	Runs   []snapshot.Run // sorted by prefix and number, disjoint
	Single []Object       // sorted by key
}

// Empty tells whether there is nothing to delete.
func (g Garbage) Empty() bool { return len(g.Runs) == 0 && len(g.Single) == 0 }

// Change is what a change of the catalog dropped and newly marked.
type Change struct {
	Dropped []dataflow.CheckpointID // oldest first
	Marked  Garbage
}

// Catalog is the completed checkpoints of one job. The zero value is empty. Its
// methods may be called from several goroutines at once.
type Catalog struct {
	records seq[*Record] // by id; no element is ever changed
	marked  space        // runs that wait for deletion
	single  seq[Object]  // metadata objects that wait for deletion, by key
	own     string       // what the prefixes of the job's own runs begin with

	index   space   // every referenced run with the newest record that refers to it; derived
	classes classes // what keeps each record; derived
}

// New returns an empty catalog of a job that refers to no other job's objects.
func New() *Catalog { return &Catalog{} }

// Complete adds a record, lets go of the oldest beyond the retained newest
// ones, and marks what lost its last reference. released are runs that their
// writers will never refer to again: what of them no record refers to is
// marked too, the rest when its last reference goes.
//
// The metadata object's key must be the checkpoint's own: it contains the id.
//
// The cost grows with the record's own runs and with what is dropped. It is the
// same with 10 and with 10,000 retained records.
func (c *Catalog) Complete(r Record, released []snapshot.Run, retained int) (*Catalog, Change, error) {
	runs, err := Normalize(r.Objects)
	if err != nil {
		return c, Change{}, fmt.Errorf("checkpoint %d: objects: %w", r.ID, err)
	}
	if released, err = Normalize(released); err != nil {
		return c, Change{}, fmt.Errorf("checkpoint %d: released: %w", r.ID, err)
	}
	r.Objects = c.index.intern(runs)
	r.Holds = maps.Clone(r.Holds)
	if err := c.check(&r); err != nil {
		return c, Change{}, fmt.Errorf("checkpoint %d: %w", r.ID, err)
	}
	n := c.begin()
	n.index.overlay(r.Objects, r.ID)
	n.add(&r)
	var ch Change
	n.mark(n.index.without(released), &ch)
	n.trim(retained, &ch)
	return n, ch.sorted(), nil
}

func (c *Catalog) check(r *Record) error {
	if last := c.Last(); last != nil && r.ID <= last.ID {
		return fmt.Errorf("%w: not newer than checkpoint %d", ErrInvalid, last.ID)
	}
	if r.ID == 0 || r.Metadata.Key == "" {
		return fmt.Errorf("%w: no id or no metadata object", ErrInvalid)
	}
	if _, marked := c.findSingle(r.Metadata.Key); marked {
		return fmt.Errorf("%w: %s", ErrMarked, r.Metadata.Key)
	}
	for _, run := range r.Objects {
		if c.marked.of(run.Prefix).overlaps(run.Lo, run.Hi) {
			return fmt.Errorf("%w: in %s%d..%d", ErrMarked, run.Prefix, run.Lo, run.Hi)
		}
	}
	return nil
}

// Confirm records that the sink commits of all records up to and with id are
// done, which may let records beyond retention go.
func (c *Catalog) Confirm(id dataflow.CheckpointID, retained int) (*Catalog, Change) {
	n := c.begin()
	for owed := range c.classes[owed].all() {
		if owed > id {
			break
		}
		n.change(owed, func(r *Record) { r.Owed = false })
	}
	var ch Change
	n.trim(retained, &ch)
	return n, ch.sorted()
}

// Hold keeps a record until Unhold of the same name. Holding twice is holding once.
// It fails with ErrUnknown.
func (c *Catalog) Hold(id dataflow.CheckpointID, who string) (*Catalog, error) {
	if c.Record(id) == nil {
		return c, fmt.Errorf("hold checkpoint %d: %w", id, ErrUnknown)
	}
	n := *c
	n.change(id, func(r *Record) {
		if r.Holds = maps.Clone(r.Holds); r.Holds == nil {
			r.Holds = map[string]bool{}
		}
		r.Holds[who] = true
	})
	return &n, nil
}

// Unhold ends a hold, which may let records beyond retention go. One that is
// not there is no mistake.
func (c *Catalog) Unhold(id dataflow.CheckpointID, who string, retained int) (*Catalog, Change) {
	if r := c.Record(id); r == nil || !r.Holds[who] {
		return c, Change{}
	}
	n := c.begin()
	n.change(id, func(r *Record) {
		r.Holds = maps.Clone(r.Holds)
		delete(r.Holds, who)
	})
	var ch Change
	n.trim(retained, &ch)
	return n, ch.sorted()
}

// Delete drops a record at a person's wish. It fails with ErrUnknown, and with
// ErrNeeded for a record that is owed or held, or while keepNewest the newest, which a
// job that may still restore needs, and a savepoint that is newer yet: see LetGo.
func (c *Catalog) Delete(id dataflow.CheckpointID, keepNewest bool) (*Catalog, Change, error) {
	r := c.Record(id)
	if r == nil {
		return c, Change{}, fmt.Errorf("delete checkpoint %d: %w", id, ErrUnknown)
	}
	if r.needed() || keepNewest && (r == c.Newest() || c.lingers(r)) {
		return c, Change{}, fmt.Errorf("delete checkpoint %d: %w", id, ErrNeeded)
	}
	n := c.begin()
	var ch Change
	n.drop([]*Record{r}, &ch)
	return n, ch.sorted(), nil
}

// DeleteAll drops every record that is neither owed nor held, the newest too: of a
// job that will never restore again.
func (c *Catalog) DeleteAll() (*Catalog, Change) {
	var drop []*Record
	for r := range c.All() {
		if !r.needed() {
			drop = append(drop, r)
		}
	}
	n := c.begin()
	var ch Change
	n.drop(drop, &ch)
	return n, ch.sorted()
}

// Rewind drops every record that is newer than id, at an operator's wish: owed or
// not, they will never be restored. Savepoints stay, since they are not in the line of
// checkpoints that a job goes on from, and what is held becomes like one: others need
// it still. It fails with ErrUnknown, also for a savepoint.
func (c *Catalog) Rewind(id dataflow.CheckpointID) (*Catalog, Change, error) {
	if r := c.Record(id); r == nil || r.Savepoint {
		return c, Change{}, fmt.Errorf("rewind to checkpoint %d: %w", id, ErrUnknown)
	}
	n := c.begin()
	var drop []*Record
	for _, r := range c.records.from(c.place(id + 1)) {
		switch {
		case r.Savepoint:
		case len(r.Holds) > 0:
			n.change(r.ID, func(r *Record) { r.Owed, r.Savepoint = false, true })
		default:
			drop = append(drop, r)
		}
	}
	var ch Change
	n.drop(drop, &ch)
	return n, ch.sorted(), nil
}

// lingers tells whether r is a savepoint that is newer than every checkpoint.
func (c *Catalog) lingers(r *Record) bool {
	newest := c.Newest()
	return r.Savepoint && (newest == nil || r.ID > newest.ID)
}

// LetGo drops the savepoints that nothing needs any more, those too that are newer than
// every checkpoint. No process may still write a checkpoint that names their objects.
func (c *Catalog) LetGo() (*Catalog, Change) {
	var drop []*Record
	for id := range c.classes[loose].all() {
		drop = append(drop, c.Record(id))
	}
	n := c.begin()
	var ch Change
	n.drop(drop, &ch)
	return n, ch.sorted()
}

// Forget takes marked objects off the list, because they are gone from the
// store. What is not marked is left alone.
func (c *Catalog) Forget(g Garbage) (*Catalog, error) {
	runs, err := Normalize(g.Runs)
	if err != nil {
		return c, fmt.Errorf("forget: %w", err)
	}
	n := *c
	n.marked = maps.Clone(c.marked)
	n.marked.remove(runs)
	for _, o := range g.Single {
		if p, found := n.findSingle(o.Key); found {
			n.single = n.single.remove(p)
		}
	}
	return &n, nil
}
