package state

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/cairnstream/cairn/codec"
)

// Broadcast is a map that is the same in all subtasks of an operator, since all get
// the same records for it and do the same with them: Flink's broadcast state.
type Broadcast[K comparable, V any] struct {
	keys   codec.Codec[K]
	values codec.Codec[V]
	m      map[K]V
}

// NewBroadcast registers broadcast state. A restore gives every subtask a copy.
func NewBroadcast[K comparable, V any](o *Operator, name string) (*Broadcast[K, V], error) {
	keys, kerr := codec.For[K]()
	values, verr := codec.For[V]()
	if err := cmp.Or(kerr, verr); err != nil {
		return nil, fmt.Errorf("%v %q: %w", broadcast, name, err)
	}
	b := &Broadcast[K, V]{keys, values, map[K]V{}}
	items, err := o.register(name, b, []string{keys.Lineage(), values.Lineage()})
	if err == nil {
		err = b.load(items)
	}
	if err != nil {
		return nil, fmt.Errorf("%v %q: %w", broadcast, name, err)
	}
	return b, nil
}

func (b *Broadcast[K, V]) load(items [][]byte) error {
	if len(items)%2 != 0 {
		return fmt.Errorf("%w: a key without a value", ErrCorrupt)
	}
	for pair := range slices.Chunk(items, 2) {
		k, v := new(K), new(V)
		if err := cmp.Or(decodeItem(b.keys, pair[0], k), decodeItem(b.values, pair[1], v)); err != nil {
			return err
		}
		b.m[*k] = *v
	}
	return nil
}

// Get returns the value of k; ok is false, and v zero, if there is none.
func (b *Broadcast[K, V]) Get(k K) (v V, ok bool) { v, ok = b.m[k]; return v, ok }

// Put makes v the value of k.
func (b *Broadcast[K, V]) Put(k K, v V) { b.m[k] = v }

// Delete removes k.
func (b *Broadcast[K, V]) Delete(k K) { delete(b.m, k) }

// Len is the number of entries.
func (b *Broadcast[K, V]) Len() int { return len(b.m) }

// Range calls f for the entries, in the same order in every subtask, until it
// returns false.
func (b *Broadcast[K, V]) Range(f func(k K, v V) bool) {
	for _, k := range b.sorted() {
		if !f(k, b.m[k]) {
			return
		}
	}
}

// sorted are the keys in the order of their encodings.
func (b *Broadcast[K, V]) sorted() []K {
	encoded := make(map[K][]byte, len(b.m))
	for k := range b.m {
		encoded[k] = b.keys.Append(nil, &k)
	}
	keys := slices.Collect(maps.Keys(b.m))
	slices.SortFunc(keys, func(x, y K) int { return bytes.Compare(encoded[x], encoded[y]) })
	return keys
}

func (b *Broadcast[K, V]) kind() operatorKind { return broadcast }

func (b *Broadcast[K, V]) schema() string {
	return Schema{Subs: []string{b.keys.Schema()}, Value: b.values.Schema()}.String()
}

func (b *Broadcast[K, V]) items() [][]byte {
	var items [][]byte
	for _, k := range b.sorted() {
		v := b.m[k]
		items = append(items, b.keys.Append(nil, &k), b.values.Append(nil, &v))
	}
	return items
}
