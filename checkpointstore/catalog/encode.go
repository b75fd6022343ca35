package catalog

import (
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/cairnstream/cairn/dataflow"
)

// The encoding is deterministic CBOR. A writer's prefix is long and every
// record repeats it, so prefixes stand once, sorted, and runs refer to them by
// index: three integers a run.
type encoded struct {
	Prefixes []string        `cbor:"1,keyasint"`
	Records  []encodedRecord `cbor:"2,keyasint"`
	Marked   []uint64        `cbor:"3,keyasint"` // prefix, lo, hi, and so on
	Single   []Object        `cbor:"4,keyasint"`
	Own      string          `cbor:"30,keyasint,omitempty"` // see NewWithin
}

type encodedRecord struct {
	ID       dataflow.CheckpointID `cbor:"1,keyasint"`
	Attempt  dataflow.Attempt      `cbor:"2,keyasint"`
	Metadata Object                `cbor:"3,keyasint"`
	Objects  []uint64              `cbor:"4,keyasint"` // prefix, lo, hi, and so on
	Owed     bool                  `cbor:"5,keyasint,omitempty"`
	Holds    []string              `cbor:"6,keyasint,omitempty"` // sorted

	Savepoint bool `cbor:"25,keyasint,omitempty"`
}

var (
	encMode = must(encOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxArrayElements:  1 << 24, // a job's runs, of all retained records
		UTF8:              cbor.UTF8DecodeInvalid,
	}.DecMode())
)

func encOptions() cbor.EncOptions {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty // nil and empty are equal
	return o
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // options that contradict each other: a mistake in this file
	}
	return v
}

// MarshalCBOR writes the canonical encoding: equal catalogs give equal bytes.
func (c *Catalog) MarshalCBOR() ([]byte, error) {
	d := newDictionary(c)
	e := encoded{Prefixes: d.prefixes, Marked: d.pack(c.marked.runs()), Single: c.single.slice(), Own: c.own}
	for r := range c.All() {
		e.Records = append(e.Records, encodedRecord{
			ID: r.ID, Attempt: r.Attempt, Metadata: r.Metadata,
			Objects: d.pack(r.Objects), Owed: r.Owed, Holds: sortedNames(r.Holds), Savepoint: r.Savepoint,
		})
	}
	return encMode.Marshal(e)
}

// UnmarshalCBOR reads what MarshalCBOR wrote; anything else is an error.
func (c *Catalog) UnmarshalCBOR(data []byte) error {
	var e encoded
	if err := decMode.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	if !slices.IsSorted(e.Prefixes) || !slices.IsSortedFunc(e.Single, compareKeys) {
		return fmt.Errorf("catalog: %w: not in order", ErrInvalid)
	}
	n := (&Catalog{own: e.Own}).begin()
	for _, o := range e.Single {
		n.single = n.single.append(o)
	}
	marked, err := unpack(e.Prefixes, e.Marked)
	if err != nil {
		return fmt.Errorf("catalog: marked: %w", err)
	}
	if len(n.owned(marked)) < len(marked) {
		return fmt.Errorf("catalog: %w: another job's objects are marked", ErrInvalid)
	}
	n.marked.overlay(marked, 0)
	for _, r := range e.Records {
		if err := n.load(e.Prefixes, r); err != nil {
			return fmt.Errorf("catalog: %w", err)
		}
	}
	*c = *n
	return nil
}

// load adds a decoded record. It must be one that Complete would have taken.
func (n *Catalog) load(prefixes []string, e encodedRecord) error {
	runs, err := unpack(prefixes, e.Objects)
	if err != nil {
		return fmt.Errorf("checkpoint %d: %w", e.ID, err)
	}
	r := Record{ID: e.ID, Attempt: e.Attempt, Metadata: e.Metadata, Objects: n.index.intern(runs), Owed: e.Owed, Savepoint: e.Savepoint}
	if err := n.check(&r); err != nil {
		return fmt.Errorf("checkpoint %d: %w", e.ID, err)
	}
	for _, who := range e.Holds {
		if r.Holds == nil {
			r.Holds = map[string]bool{}
		}
		r.Holds[who] = true
	}
	n.add(&r)
	n.index.overlay(r.Objects, r.ID)
	return nil
}

func sortedNames(set map[string]bool) []string {
	var names []string
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// dictionary numbers the prefixes of a catalog in their order.
type dictionary struct {
	prefixes []string
	number   map[string]uint64
}

func newDictionary(c *Catalog) dictionary {
	d := dictionary{number: map[string]uint64{}}
	for _, m := range []space{c.index, c.marked} {
		for p := range m {
			d.prefixes = append(d.prefixes, p)
		}
	}
	slices.Sort(d.prefixes)
	d.prefixes = slices.Compact(d.prefixes)
	for i, p := range d.prefixes {
		d.number[p] = uint64(i)
	}
	return d
}

func (d dictionary) pack(runs []run) []uint64 {
	out := make([]uint64, 0, 3*len(runs))
	for _, r := range runs {
		out = append(out, d.number[r.Prefix], r.Lo, r.Hi)
	}
	return out
}

func unpack(prefixes []string, packed []uint64) ([]run, error) {
	if len(packed)%3 != 0 {
		return nil, fmt.Errorf("%w: %d numbers are no runs", ErrInvalid, len(packed))
	}
	var runs []run
	for p := range slices.Chunk(packed, 3) {
		if p[0] >= uint64(len(prefixes)) {
			return nil, fmt.Errorf("%w: prefix %d of %d", ErrInvalid, p[0], len(prefixes))
		}
		runs = append(runs, run{Prefix: prefixes[p[0]], Lo: p[1], Hi: p[2]})
	}
	return Normalize(runs)
}
