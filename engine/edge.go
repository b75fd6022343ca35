package engine

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cairnstream/cairn/codec"
)

// Edge is the code of one edge of the graph: it knows the type of the records.
type Edge interface {
	// inlet returns what feeds input number i of n with the edge's records.
	inlet(n node, i int) (inlet, error)
	// check tells why the records can not go to another process, or nil.
	check() error
	// hashed tells whether the edge goes by key, and keySchema by which.
	hashed() bool
	keySchema() string
	// schema is that of the records; "" if they have none.
	schema() string
}

// inlet processes what arrives over an edge.
type inlet interface {
	// batch processes a *Batch[T] and recycles it.
	batch(b any) (rows int, err error)
	// payload decodes a batch and processes it.
	payload(p []byte) (rows int, err error)
	// narrow returns a batch with the records of the key groups lo to hi, of an edge by
	// hash, and how many these are.
	narrow(p []byte, lo, hi int) (narrowed []byte, rows int, err error)
	// keep copies a *Batch[T] and returns what encodes the copy, on any goroutine.
	keep(b any) func() []byte
}

// NewEdge is an edge that forwards, rebalances or broadcasts.
func NewEdge[T any]() Edge { return newEdge[T]("", nil) }

// NewHashEdge is an edge that goes by the hash of a record's key, which keySchema
// describes as for NewKeyedTransform. newKey is called once per subtask upstream and
// returns a function that appends a record's encoded key to dst.
func NewHashEdge[T any](keySchema string, newKey func() func(dst []byte, v T) []byte) Edge {
	return newEdge(keySchema, newKey)
}

// edge is an Edge for records of type T. It is shared by all subtasks of the process.
type edge[T any] struct {
	codec  codec.Codec[T]
	err    error // why T has no codec
	newKey func() func(dst []byte, v T) []byte
	keys   string // schema of what it appends
	pool   pool[T]
	size   atomic.Int64 // bytes of the values of the last encoded batch: a guess at the next
}

func newEdge[T any](keys string, newKey func() func([]byte, T) []byte) *edge[T] {
	e := &edge[T]{newKey: newKey, keys: keys}
	e.codec, e.err = codec.For[T]()
	return e
}

func (e *edge[T]) check() error      { return e.err }
func (e *edge[T]) hashed() bool      { return e.newKey != nil }
func (e *edge[T]) keySchema() string { return e.keys }

func (e *edge[T]) schema() string {
	if e.err != nil {
		return ""
	}
	return e.codec.Schema()
}

func (e *edge[T]) inlet(n node, i int) (inlet, error) {
	t, err := targetOf[T](n, i)
	if err != nil {
		return nil, err
	}
	return &typedInlet[T]{e, t}, nil
}

type typedInlet[T any] struct {
	edge *edge[T]
	to   target[T]
}

func (t *typedInlet[T]) batch(b any) (int, error) {
	typed := b.(*Batch[T])
	rows := len(typed.Values)
	err := t.to.process(typed)
	t.edge.pool.put(typed)
	return rows, err
}

func (t *typedInlet[T]) payload(p []byte) (int, error) {
	b := t.edge.pool.get()
	if err := t.edge.decode(p, b); err != nil {
		return 0, fmt.Errorf("decode a batch from another process: %w", err)
	}
	return t.batch(b)
}

func (t *typedInlet[T]) narrow(p []byte, lo, hi int) ([]byte, int, error) {
	b := &Batch[T]{}
	if err := t.edge.decode(p, b); err != nil {
		return nil, 0, fmt.Errorf("decode a batch that was in flight: %w", err)
	}
	n := 0
	for i, g := range b.Groups {
		if int(g) >= lo && int(g) <= hi {
			b.Values[n], b.Times[n], b.Groups[n] = b.Values[i], b.Times[i], g
			n++
		}
	}
	b.Values, b.Times, b.Groups = b.Values[:n], b.Times[:n], b.Groups[:n]
	return t.edge.encode(b), n, nil
}

func (t *typedInlet[T]) keep(b any) func() []byte { return t.edge.keep(b) }

// keep copies a *Batch[T], but for what its records point to, which nobody changes, and
// returns what encodes the copy.
func (e *edge[T]) keep(b any) func() []byte {
	typed := b.(*Batch[T])
	c := &Batch[T]{Values: slices.Clone(typed.Values), Times: slices.Clone(typed.Times), Groups: slices.Clone(typed.Groups)}
	return func() []byte { return e.encode(c) }
}

// encode writes a batch for another process: the number of records (uvarint),
// their times (8 bytes each, little endian), their key groups if the edge goes by
// hash (2 bytes each), and the records one after the other as the codec
// writes them.
func (e *edge[T]) encode(b *Batch[T]) []byte {
	p := make([]byte, 0, len(b.Values)*10+int(e.size.Load())*5/4+binary.MaxVarintLen64)
	p = binary.AppendUvarint(p, uint64(len(b.Values)))
	for _, t := range b.Times {
		p = binary.LittleEndian.AppendUint64(p, uint64(t))
	}
	for _, g := range b.Groups {
		p = binary.LittleEndian.AppendUint16(p, g)
	}
	before := len(p)
	for i := range b.Values {
		p = e.codec.Append(p, &b.Values[i])
	}
	e.size.Store(int64(len(p) - before))
	return p
}

// decode reads what encode wrote into the empty batch b.
func (e *edge[T]) decode(p []byte, b *Batch[T]) error {
	n, k := binary.Uvarint(p)
	fixed := uint64(8)
	if e.hashed() {
		fixed = 10
	}
	if k <= 0 || n > uint64(len(p))/fixed {
		return fmt.Errorf("%d bytes can not hold %d records", len(p), n)
	}
	p = p[k:]
	if uint64(len(p)) < n*fixed {
		return fmt.Errorf("%d bytes can not hold %d records", len(p), n)
	}
	for i := range int(n) {
		b.Times = append(b.Times, int64(binary.LittleEndian.Uint64(p[8*i:])))
	}
	p = p[8*n:]
	if e.hashed() {
		for i := range int(n) {
			b.Groups = append(b.Groups, binary.LittleEndian.Uint16(p[2*i:]))
		}
		p = p[2*n:]
	}
	return e.decodeValues(p, int(n), b)
}

func (e *edge[T]) decodeValues(p []byte, n int, b *Batch[T]) error {
	b.Values = slices.Grow(b.Values, n)[:n]
	for i := range b.Values {
		k, err := e.codec.Decode(p, &b.Values[i])
		if err != nil {
			return fmt.Errorf("record %d of %d: %w", i, n, err)
		}
		p = p[k:]
	}
	if len(p) > 0 {
		return fmt.Errorf("%d bytes after the last record", len(p))
	}
	return nil
}
