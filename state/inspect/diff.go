package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// Change is what became of an entry between two checkpoints. Old is missing (its
// State is nil) if it was added, New if it was removed.
type Change struct {
	Kind     ChangeKind
	Old, New Entry
}

// Entry is the entry as it is, or as it was if it was removed.
func (c Change) Entry() Entry {
	if c.Kind == Removed {
		return c.Old
	}
	return c.New
}

// ChangeKind is a sort of change.
type ChangeKind int

// The kinds of change.
const (
	Added ChangeKind = iota
	Removed
	Changed
)

func (k ChangeKind) String() string { return [...]string{"added", "removed", "changed"}[k] }

// Diff calls f for what differs in an operator's keyed state from checkpoint a to
// b, in the order and under the rules of Scan. a or b may be nil: the checkpoint
// has no such operator. Values whose schema has evolved are compared in the new one;
// where the one can't become the other they are compared as they are.
func (r *Reader) Diff(ctx context.Context, a, b *Operator, f func(Change) error) error {
	parts, err := r.slices(present(a, b)...)
	if errors.Is(err, ErrNoKeyed) {
		return nil
	}
	for _, g := range parts {
		if sameSegments(a, b, g) {
			continue
		}
		if err := r.diffSlice(ctx, a, b, g, f); err != nil {
			return err
		}
	}
	return nil
}

func present(operators ...*Operator) []*Operator {
	return slices.DeleteFunc(operators, func(o *Operator) bool { return o == nil })
}

// sameSegments tells whether nothing was written for these key groups: both
// checkpoints are restored from the same bytes.
func sameSegments(a, b *Operator, g groupRange) bool {
	if a == nil || b == nil {
		return false
	}
	return slices.Equal(segmentsOf(a, g), segmentsOf(b, g))
}

func segmentsOf(o *Operator, g groupRange) []snapshot.Segment {
	var all []snapshot.Segment
	for _, k := range o.Handles {
		for _, s := range k.Segments {
			s.GroupLo, s.GroupHi = max(s.GroupLo, k.GroupLo, g.lo), min(s.GroupHi, k.GroupHi, g.hi)
			if s.GroupLo <= s.GroupHi {
				all = append(all, s)
			}
		}
	}
	return all
}

func (r *Reader) diffSlice(ctx context.Context, a, b *Operator, g groupRange, f func(Change) error) error {
	old, new := &run{}, &run{}
	var err error
	if a != nil {
		if old, err = r.read(ctx, a, g); err != nil {
			return fmt.Errorf("first checkpoint: %w", err)
		}
	}
	if b != nil {
		if new, err = r.read(ctx, b, g); err != nil {
			return fmt.Errorf("second checkpoint: %w", err)
		}
	}
	m := merger{old: old, new: new, convert: map[string]converter{}}
	return m.merge(f)
}

// merger compares two runs, both in order.
type merger struct {
	old, new *run
	convert  map[string]converter // by state
	buf      []byte
}

// converter turns a value of the old schema into one of the new; nil keeps it.
type converter func(dst, value []byte) ([]byte, error)

func (m *merger) merge(f func(Change) error) error {
	for i, j := 0, 0; i < len(m.old.places) || j < len(m.new.places); {
		c, oldUsed, newUsed, err := m.next(i, j)
		if err != nil {
			return err
		}
		if oldUsed {
			i++
		}
		if newUsed {
			j++
		}
		if c == nil {
			continue
		}
		if err := f(*c); err != nil {
			return err
		}
	}
	return nil
}

// next compares the next entries of both, of which one may be missing, and tells
// which it has dealt with. The change is nil if they are the same.
func (m *merger) next(i, j int) (c *Change, oldUsed, newUsed bool, err error) {
	var e, f Entry
	order := 0
	switch {
	case i == len(m.old.places):
		f, order = m.new.at(j), 1
	case j == len(m.new.places):
		e, order = m.old.at(i), -1
	default:
		e, f = m.old.at(i), m.new.at(j)
		order = e.compare(f)
	}
	switch {
	case order < 0:
		return &Change{Removed, e, Entry{}}, true, false, nil
	case order > 0:
		return &Change{Added, Entry{}, f}, false, true, nil
	}
	same, err := m.equal(e, f)
	if same || err != nil {
		return nil, true, true, err
	}
	return &Change{Changed, e, f}, true, true, nil
}

// equal compares the values of one entry, the old one in the new schema.
func (m *merger) equal(e, f Entry) (bool, error) {
	if e.State.Schema == f.State.Schema {
		return bytes.Equal(e.Value, f.Value), nil
	}
	convert, ok := m.convert[f.State.Name]
	if !ok {
		var err error
		if convert, err = state.Migration(definition(*e.State), definition(*f.State)); err != nil {
			convert = nil // Old and New say so
		}
		m.convert[f.State.Name] = convert
	}
	if convert == nil {
		return bytes.Equal(e.Value, f.Value), nil
	}
	var err error
	if m.buf, err = convert(m.buf[:0], e.Value); err != nil {
		return false, fmt.Errorf("state %q, key 0x%x: %w", e.State.Name, e.Key, err)
	}
	return bytes.Equal(m.buf, f.Value), nil
}

// Evolved returns the states of which a checkpoint's schema or kind is another in
// the next, with both.
func Evolved(a, b *Operator) [][2]snapshot.State {
	var all [][2]snapshot.State
	for _, s := range a.States {
		i, ok := slices.BinarySearchFunc(b.States, s.Name, func(t snapshot.State, name string) int { return strings.Compare(t.Name, name) })
		if ok && (b.States[i].Schema != s.Schema || b.States[i].Kind != s.Kind) {
			all = append(all, [2]snapshot.State{s, b.States[i]})
		}
	}
	return all
}

// ItemsDiff is what differs in operator state of one name.
type ItemsDiff struct {
	Name, Kind            string
	Added, AddedBytes     int64
	Removed, RemovedBytes int64
}

// DiffItems compares the operator state of a and b, either of which may be nil. Items
// have no identity: one that has changed is removed and added.
func DiffItems(a, b *Operator) []ItemsDiff {
	var all []ItemsDiff
	counts := map[[2]string]map[string]int{} // by kind and name: how many more in b
	count := func(o *Operator, by int) {
		if o == nil {
			return
		}
		for _, i := range o.Items {
			id := [2]string{i.Kind, i.Name}
			if counts[id] == nil {
				counts[id] = map[string]int{}
				all = append(all, ItemsDiff{Name: i.Name, Kind: i.Kind})
			}
			for _, item := range i.Items {
				counts[id][string(item)] += by
			}
		}
	}
	count(b, 1)
	count(a, -1)
	for i := range all {
		for item, n := range counts[[2]string{all[i].Kind, all[i].Name}] {
			all[i].add(int64(n), int64(len(item)))
		}
	}
	return all
}

// add counts n items more, or fewer, of a size.
func (d *ItemsDiff) add(n, size int64) {
	if n > 0 {
		d.Added += n
		d.AddedBytes += n * size
		return
	}
	d.Removed -= n
	d.RemovedBytes -= n * size
}
