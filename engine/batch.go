package engine

import "sync"

// Batch is the unit of everything: records of one type in columns. Times has
// the length of Values; Groups has it too, or is empty if the key groups are
// not known.
//
// Who is handed a batch by a call may read it until the call returns and keeps
// neither the batch nor its slices. Values themselves may be kept, so they must
// not be changed once emitted (as with Flink's object reuse).
type Batch[T any] struct {
	Values []T
	Times  []int64 // Unix milliseconds, or connector.NoTime
	Groups []uint16
}

// Len is the number of records.
func (b *Batch[T]) Len() int { return len(b.Values) }

// Append adds a record.
func (b *Batch[T]) Append(value T, time int64) {
	b.Values = append(b.Values, value)
	b.Times = append(b.Times, time)
}

// Reset empties the batch and keeps its memory. Values are cleared, so that
// what they point to can be collected.
func (b *Batch[T]) Reset() {
	clear(b.Values)
	b.Values, b.Times, b.Groups = b.Values[:0], b.Times[:0], b.Groups[:0]
}

// pool recycles the batches of one edge, whose size is always the job's batch size.
type pool[T any] struct{ p sync.Pool }

func (p *pool[T]) get() *Batch[T] {
	if b, ok := p.p.Get().(*Batch[T]); ok {
		return b
	}
	return &Batch[T]{}
}

func (p *pool[T]) put(b *Batch[T]) {
	b.Reset()
	p.p.Put(b)
}
