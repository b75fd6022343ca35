package stream

import (
	"errors"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
)

// inputsOf2 is the kind of a graph's operator that has two inputs.
const inputsOf2 = 2

// trackers set one store to the keys of two inputs.
type trackers[K, A, B any] struct {
	first  *keyTracker[K, A]
	second *keyTracker[K, B]
}

// addKeyed2 declares an operator with two inputs that share keyed state.
func addKeyed2[K, A, B any](a Keyed[K, A], b Keyed[K, B], name string, set *settings,
	open func(*engine.OpContext, trackers[K, A, B]) (engine.Transform2[A, B], error)) dataflow.Operator {
	p := a.s.p
	p.checkSame(name, b.s.p)
	keys := keyCodec[K](p, name)
	code := engine.NewKeyedTransform2(keys.Schema(), func(ctx *engine.OpContext) (engine.Transform2[A, B], error) {
		return open(ctx, trackers[K, A, B]{newKeyTracker(ctx, a.key, keys), newKeyTracker(ctx, b.key, keys)})
	})
	o := p.add(dataflow.Operator{Name: name, Kind: dataflow.Transform, Stateful: true, Inputs: inputsOf2}, set, code)
	a.connect(o, 0, keys)
	b.connect(o, 1, keys)
	return o
}

var errOtherPipeline = errors.New("its inputs are streams of two jobs: build both on one Pipeline")

// checkSame refuses streams that were built on another pipeline.
func (p *Pipeline) checkSame(name string, other *Pipeline) {
	if p != other {
		p.problem(name, errOtherPipeline)
	}
}

// prefetchWith tells a store in which a miss is dear of what a batch will use: want
// adds it for each record. The store's current key is undefined afterwards.
func (t *keyTracker[K, In]) prefetchWith(b *engine.Batch[In], want func(w *wanted, group int, key []byte, time int64)) error {
	if t.misses == nil || !t.misses.Ahead() {
		return nil
	}
	t.wanted.reset()
	for i, v := range b.Values {
		key := t.want(v)
		want(&t.wanted, t.group(b, i, key), key, b.Times[i])
	}
	return t.misses.Prefetch(t.wanted.entries)
}
