package inspect

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// Entry is an entry of keyed state. Its slices are valid until the function that
// got it returns.
type Entry struct {
	State           *snapshot.State
	Group           int
	Key, Sub, Value []byte
}

// compare orders entries by what finds them.
func (e Entry) compare(f Entry) int {
	return cmp.Or(cmp.Compare(e.Group, f.Group), bytes.Compare(e.Key, f.Key), cmp.Compare(e.State.Name, f.State.Name), bytes.Compare(e.Sub, f.Sub))
}

// Scan calls f for all entries of an operator's keyed state, in order of key group,
// key, state and sub-key, until it returns an error, which Scan returns. An
// operator without keyed state is ErrNoKeyed.
func (r *Reader) Scan(ctx context.Context, o *Operator, f func(Entry) error) error {
	parts, err := r.slices(o)
	if err != nil {
		return err
	}
	for _, s := range parts {
		run, err := r.read(ctx, o, s)
		if err != nil {
			return err
		}
		for i := range run.places {
			if err := f(run.at(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Get calls f for the entries of one key, by its encoding, in order of state and
// sub-key, under the rules of Scan. groups is how many key groups the job has. It
// reads only the parts of objects that hold the key's group.
func (r *Reader) Get(ctx context.Context, o *Operator, key []byte, groups int, f func(Entry) error) (err error) {
	if len(o.Handles) == 0 {
		return fmt.Errorf("operator %s: %w", o.UID, ErrNoKeyed)
	}
	group := dataflow.KeyGroup(dataflow.KeyHash(key), groups)
	v, err := r.open(ctx, o, group, group)
	if err != nil {
		return fmt.Errorf("operator %s: %w", o.UID, err)
	}
	defer v.close() // scratch
	v.store.SetKey(group, key)
	for i := range v.states {
		s := &v.states[i]
		scanErr := v.store.Scan(s.handle, func(sub, value []byte) bool {
			err = f(Entry{&s.State, group, key, sub, value})
			return err == nil
		})
		if err := cmp.Or(err, scanErr); err != nil {
			return err
		}
	}
	return nil
}

// groupRange is a range of key groups, both ends included.
type groupRange struct{ lo, hi int }

// slices divides the operators' key groups into ranges of about SliceBytes of
// live state of the largest of them.
func (r *Reader) slices(operators ...*Operator) ([]groupRange, error) {
	all := groupRange{lo: -1}
	var most int64
	for _, o := range operators {
		lo, hi, ok := o.Groups()
		if !ok {
			continue
		}
		if all.lo < 0 || lo < all.lo {
			all.lo = lo
		}
		_, size := o.Entries()
		all.hi, most = max(all.hi, hi), max(most, size)
	}
	if all.lo < 0 {
		return nil, fmt.Errorf("operator %s: %w", operators[0].UID, ErrNoKeyed)
	}
	return all.divide(most, cmp.Or(r.SliceBytes, DefaultSliceBytes)), nil
}

// divide cuts the range into parts that hold at most about limit of its size.
func (g groupRange) divide(size, limit int64) []groupRange {
	groups := int64(g.hi - g.lo + 1)
	step := groups
	if size > limit {
		step = max(1, groups*limit/size)
	}
	var parts []groupRange
	for lo := g.lo; lo <= g.hi; lo += int(step) {
		parts = append(parts, groupRange{lo, min(g.hi, lo+int(step)-1)})
	}
	return parts
}

// run is the entries of some key groups, in order, without a pointer for each.
type run struct {
	states []viewed
	bytes  []byte
	places []place
}

// place says where an entry's key, sub-key and value lie, one behind the other.
type place struct {
	state, group   int32
	at             int64
	key, sub, size int32
}

// read restores a slice and sorts its entries.
func (r *Reader) read(ctx context.Context, o *Operator, g groupRange) (*run, error) {
	v, err := r.open(ctx, o, g.lo, g.hi)
	if err != nil {
		return nil, fmt.Errorf("operator %s: %w", o.UID, err)
	}
	defer v.close() // scratch
	out := &run{states: v.states}
	for i, s := range v.states {
		err := v.store.ScanAll(s.handle, func(group int, key, sub, value []byte) bool {
			out.add(i, group, key, sub, value)
			return true
		})
		if err != nil {
			return nil, fmt.Errorf("operator %s: state %q: %w", o.UID, s.Name, err)
		}
	}
	slices.SortFunc(out.places, func(a, b place) int { return out.entry(a).compare(out.entry(b)) })
	return out, nil
}

func (r *run) add(state, group int, key, sub, value []byte) {
	r.places = append(r.places, place{int32(state), int32(group), int64(len(r.bytes)), int32(len(key)), int32(len(sub)), int32(len(value))})
	r.bytes = append(append(append(r.bytes, key...), sub...), value...)
}

func (r *run) at(i int) Entry { return r.entry(r.places[i]) }

func (r *run) entry(p place) Entry {
	key := r.bytes[p.at : p.at+int64(p.key)]
	sub := r.bytes[p.at+int64(p.key):][:p.sub]
	value := r.bytes[p.at+int64(p.key)+int64(p.sub):][:p.size]
	return Entry{&r.states[p.state].State, int(p.group), key, sub, value}
}
