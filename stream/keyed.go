package stream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// Keyed is a stream whose records have a key: records of one key go to one
// subtask, in the order in which each upstream subtask had them.
type Keyed[K, T any] struct {
	s   Stream[T]
	key func(T) K
}

// KeyBy gives the records of a stream a key. key must give the same for the
// same record on every machine; K needs a codec that gives equal bytes for equal keys.
// Once the job has state, K stays as it is: keys decide where their state lies.
func KeyBy[K, T any](s Stream[T], key func(T) K) Keyed[K, T] { return Keyed[K, T]{s, key} }

// Stream is the records without their keys.
func (k Keyed[K, T]) Stream() Stream[T] { return k.s }

// addKeyed declares an operator with keyed state and its hash edges.
func addKeyed[K, In any](k Keyed[K, In], name string, set *settings, open func(*engine.OpContext, *keyTracker[K, In]) (engine.Transform[In], error)) dataflow.Operator {
	p := k.s.p
	keys := keyCodec[K](p, name)
	code := engine.NewKeyedTransform(keys.Schema(), func(ctx *engine.OpContext) (engine.Transform[In], error) {
		return open(ctx, newKeyTracker(ctx, k.key, keys))
	})
	o := p.add(dataflow.Operator{Name: name, Kind: dataflow.Transform, Stateful: true}, set, code)
	k.connect(o, 0, keys)
	return o
}

// keyCodec is how an operator's keys are encoded.
func keyCodec[K any](p *Pipeline, name string) codec.Codec[K] {
	keys, err := codec.Key[K]()
	if err != nil {
		p.problem(name, fmt.Errorf("key: %w", err))
		return noCodec[K]{}
	}
	return keys
}

// connect declares the hash edges to an operator's input.
func (k Keyed[K, T]) connect(to dataflow.Operator, input int, keys codec.Codec[K]) {
	connectInput(k.s, to, input, dataflow.Hash, func() engine.Edge { return engine.NewHashEdge(keys.Schema(), k.newAppendKey(keys)) })
}

// noCodec stands in for the codec of a key that has none, in a pipeline that will
// not become a program.
type noCodec[K any] struct{ codec.Codec[K] }

func (noCodec[K]) Schema() string { return "" }

// newAppendKey returns a maker of functions that append a record's encoded key.
func (k Keyed[K, T]) newAppendKey(keys codec.Codec[K]) func() func([]byte, T) []byte {
	return func() func([]byte, T) []byte {
		var key K // kept, since the codec makes it escape
		return func(dst []byte, v T) []byte {
			key = k.key(v)
			return keys.Append(dst, &key)
		}
	}
}

// keyTracker sets a store to the key of each record.
type keyTracker[K, In any] struct {
	of     func(In) K
	codec  codec.Codec[K]
	store  state.Store
	misses state.Prefetcher // the store, if a miss is dear; else nil
	groups int

	key    K
	buf    []byte
	wanted wanted
}

func newKeyTracker[K, In any](ctx *engine.OpContext, of func(In) K, keys codec.Codec[K]) *keyTracker[K, In] {
	t := &keyTracker[K, In]{of: of, codec: keys, store: state.Unwrap(ctx.Store), groups: ctx.KeyGroups}
	t.misses, _ = t.store.(state.Prefetcher)
	ctx.CurrentKey = t.printKey
	return t
}

// keyPrintedMax bounds a key in an error.
const keyPrintedMax = 200

// printKey prints the store's key, for errors: whichever of an operator's trackers set
// it, or a timer. It is empty if there is none.
func (t *keyTracker[K, In]) printKey() string {
	var key K
	_, encoded := t.store.Key()
	if _, err := t.codec.Decode(encoded, &key); err != nil || len(encoded) == 0 {
		return ""
	}
	text := fmt.Sprintf("%+v", key)
	if s, ok := any(key).(string); ok {
		text = strconv.Quote(s)
	}
	if len(text) > keyPrintedMax {
		text = strings.ToValidUTF8(text[:keyPrintedMax], "") + "..."
	}
	return text
}

// set chooses the key of record i of b.
func (t *keyTracker[K, In]) set(b *engine.Batch[In], i int) K {
	t.buf = t.append(t.buf[:0], b.Values[i])
	t.store.SetKey(t.group(b, i, t.buf), t.buf)
	return t.key
}

// timeOf is how far event time has come for the key at hand: behind is by key group, until the first
// watermark after a restore, and then nil.
func (t *keyTracker[K, In]) timeOf(wm int64, behind []int64) int64 {
	if behind == nil {
		return wm
	}
	group, _ := t.store.Key()
	return behind[group]
}

func (t *keyTracker[K, In]) append(dst []byte, v In) []byte {
	t.key = t.of(v)
	return t.codec.Append(dst, &t.key)
}

func (t *keyTracker[K, In]) group(b *engine.Batch[In], i int, key []byte) int {
	if len(b.Groups) > 0 {
		return int(b.Groups[i])
	}
	return dataflow.KeyGroup(dataflow.KeyHash(key), t.groups)
}

// decode reads an encoded key.
func (t *keyTracker[K, In]) decode(key []byte) (k K, err error) {
	if _, err := t.codec.Decode(key, &t.key); err != nil {
		return k, fmt.Errorf("key of a timer: %w", err)
	}
	return t.key, nil
}
