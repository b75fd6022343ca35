package state

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/snapshot"
)

// Operator is the operator state of one subtask: what it keeps that belongs to no
// key. It is small and lies in memory as Go values; each checkpoint holds all of it.
// One goroutine uses it.
//
// What a restore with another parallelism does with it depends on the kind: the
// items of a split list are dealt out anew, a union list's all go to every subtask,
// and of broadcast state, which is the same everywhere, every subtask gets a copy.
type Operator struct {
	subtask  int
	restored snapshot.Operator
	states   map[string]operatorState
	refused  map[string]error // of states, why what was restored can't become them
}

// operatorState is a state as Operator sees it.
type operatorState interface {
	kind() operatorKind
	schema() string
	items() [][]byte
}

// operatorKind is how a state is redistributed.
type operatorKind int

const (
	split operatorKind = iota
	union
	broadcast
)

// NewOperator returns the operator state of a subtask. restored holds what a
// restore gives to it, already redistributed; its maps are kept.
func NewOperator(subtask int, restored snapshot.Operator) *Operator {
	return &Operator{subtask: subtask, restored: restored, states: map[string]operatorState{}, refused: map[string]error{}}
}

// in is where a checkpoint keeps the states of a kind.
func (k operatorKind) in(o *snapshot.Operator) *map[string][][]byte {
	return [...]*map[string][][]byte{&o.Lists, &o.Unions, &o.Broadcast}[k]
}

func (k operatorKind) String() string {
	return [...]string{"split list", "union list", "broadcast state"}[k]
}

// Snapshot adds all states to a checkpoint's part. A state that was restored and
// that the program has not asked for is kept as it was.
func (o *Operator) Snapshot(into *snapshot.Operator) {
	for k := split; k <= broadcast; k++ {
		for name, items := range *k.in(&o.restored) {
			if o.states[name] == nil && (k != union || o.subtask == 0) { // or a union would multiply
				put(k.in(into), name, items)
				putSchema(into, name, o.restored.Schemas[name])
			}
		}
	}
	for name, s := range o.states {
		put(s.kind().in(into), name, s.items())
		putSchema(into, name, s.schema())
	}
}

// Registered is an operator state that a program has asked for.
type Registered struct {
	Name, Kind, Schema string
	Err                error // what was restored can't become it
}

// Registered lists the states that the program has asked for, by name.
func (o *Operator) Registered() []Registered {
	var all []Registered
	for _, name := range slices.Sorted(maps.Keys(o.states)) {
		s := o.states[name]
		all = append(all, Registered{name, s.kind().String(), s.schema(), o.refused[name]})
	}
	return all
}

// Described lists the operator states in a checkpoint's part, by kind and name. A list of
// the engine's own is among them.
func Described(o snapshot.Operator) []Registered {
	var all []Registered
	for k := split; k <= broadcast; k++ {
		states := *k.in(&o)
		for _, name := range slices.Sorted(maps.Keys(states)) {
			all = append(all, Registered{Name: name, Kind: k.String(), Schema: o.Schemas[name]})
		}
	}
	return all
}

// OperatorKinds are the kinds of operator state, as Registered has them.
func OperatorKinds() []string {
	return []string{split.String(), union.String(), broadcast.String()}
}

// Has tells whether the program has a state of that name.
func (o *Operator) Has(name string) bool { return o.states[name] != nil }

func put(to *map[string][][]byte, name string, items [][]byte) {
	if *to == nil {
		*to = map[string][][]byte{}
	}
	(*to)[name] = items
}

func putSchema(to *snapshot.Operator, name, schema string) {
	if to.Schemas == nil {
		to.Schemas = map[string]string{}
	}
	to.Schemas[name] = schema
}

// register adds a state and returns its restored items, converted to its schema.
// lineage is that of each item, by turns: one of a list, key and value of broadcast.
func (o *Operator) register(name string, s operatorState, lineage []string) ([][]byte, error) {
	if o.states[name] != nil {
		return nil, fmt.Errorf("%v %q: there is an operator state of that name already", s.kind(), name)
	}
	for k := split; k <= broadcast; k++ {
		if _, there := (*k.in(&o.restored))[name]; there && k != s.kind() {
			return nil, fmt.Errorf("%v %q: %w: it was a %v", s.kind(), name, ErrIncompatible, k)
		}
	}
	o.states[name] = s
	items := (*s.kind().in(&o.restored))[name]
	if old := o.restored.Schemas[name]; len(items) > 0 && old != s.schema() {
		converted, err := convertItems(items, old, s, name, lineage)
		if err != nil {
			o.refused[name] = err
		}
		return converted, err
	}
	return items, nil
}

func convertItems(items [][]byte, old string, s operatorState, name string, lineage []string) ([][]byte, error) {
	wrap := func(err error) error { return fmt.Errorf("%v %q: %w: %w", s.kind(), name, ErrIncompatible, err) }
	from, err := ParseSchema(old)
	if err != nil {
		return nil, wrap(err)
	}
	parts := append(from.Subs, from.Value)
	if len(parts) != len(lineage) {
		return nil, wrap(fmt.Errorf("%s can't become %s", old, s.schema()))
	}
	out := make([][]byte, len(items))
	for i, to := range lineage {
		convert, err := codec.Transcoder(parts[i], to)
		if err != nil {
			return nil, wrap(err)
		}
		for j := i; j < len(items); j += len(lineage) {
			if out[j], err = convert(nil, items[j]); err != nil {
				return nil, fmt.Errorf("%v %q: %w: %w", s.kind(), name, ErrCorrupt, err)
			}
		}
	}
	return out, nil
}

// OperatorList is a list of items that belong to no key: Flink's operator list
// state or union list state.
type OperatorList[T any] struct {
	how    operatorKind
	codec  codec.Codec[T]
	values []T
}

// NewSplitList registers a list whose items a restore with another parallelism deals
// out to the subtasks anew; with the same one each gets its own again.
func NewSplitList[T any](o *Operator, name string) (*OperatorList[T], error) {
	return newOperatorList[T](o, name, split)
}

// NewUnionList registers a list of which a restore gives every subtask the items of
// all, in the order of the subtasks.
func NewUnionList[T any](o *Operator, name string) (*OperatorList[T], error) {
	return newOperatorList[T](o, name, union)
}

func newOperatorList[T any](o *Operator, name string, how operatorKind) (*OperatorList[T], error) {
	c, err := codec.For[T]()
	if err != nil {
		return nil, fmt.Errorf("%v %q: %w", how, name, err)
	}
	l := &OperatorList[T]{how: how, codec: c}
	items, err := o.register(name, l, []string{c.Lineage()})
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		v := new(T)
		if err := decodeItem(c, item, v); err != nil {
			return nil, fmt.Errorf("%v %q: %w", how, name, err)
		}
		l.values = append(l.values, *v)
	}
	return l, nil
}

func decodeItem[T any](c codec.Codec[T], item []byte, v *T) error {
	n, err := c.Decode(item, v)
	if err == nil && n != len(item) {
		err = fmt.Errorf("%d bytes after it", len(item)-n)
	}
	if err != nil {
		return fmt.Errorf("%w: an item: %w", ErrCorrupt, err)
	}
	return nil
}

// Items are the items in order. The caller does not change the slice.
func (l *OperatorList[T]) Items() []T { return l.values }

// Add adds an item behind the others.
func (l *OperatorList[T]) Add(v T) { l.values = append(l.values, v) }

// Replace makes values all of the items; it keeps a copy of the slice.
func (l *OperatorList[T]) Replace(values []T) { l.values = slices.Clone(values) }

func (l *OperatorList[T]) kind() operatorKind { return l.how }
func (l *OperatorList[T]) schema() string     { return l.codec.Schema() }

func (l *OperatorList[T]) items() [][]byte {
	items := make([][]byte, len(l.values))
	for i := range l.values {
		items[i] = l.codec.Append(nil, &l.values[i])
	}
	return items
}
