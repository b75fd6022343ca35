package matrix

import (
	"fmt"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/stream"
)

// pipeline builds a graph for one attempt.
type pipeline struct {
	*world
	p           *stream.Pipeline
	parallelism [groupsOf]int
	streams     map[int]stream.Stream[rec]
	sides       map[int]*stream.Stream[rec]
}

// program builds the job with a parallelism for each group of operators.
func (w *world) program(parallelism [groupsOf]int) (*engine.Program, error) {
	b := &pipeline{world: w, p: stream.NewPipeline("matrix"), parallelism: parallelism,
		streams: map[int]stream.Stream[rec]{}, sides: map[int]*stream.Stream[rec]{}}
	b.p.KeyGroups(keyGroups)
	for _, n := range w.graph.nodes {
		b.build(n)
	}
	return b.p.Program()
}

// options are those of a node's operator.
func (b *pipeline) options(n *node) []stream.Option {
	return []stream.Option{stream.UID(fmt.Sprint("n", n.id)), stream.Parallelism(b.parallelism[n.group])}
}

// build adds a node's operators.
func (b *pipeline) build(n *node) {
	name, opts := fmt.Sprint("n", n.id), b.options(n)
	switch n.kind {
	case source:
		opts = append(opts, stream.TimestampsMillis(func(r rec) int64 { return r.Time }), stream.Monotonic())
		b.streams[n.id] = stream.From(b.p, name, b.source(n), opts...)
	case mapped:
		b.streams[n.id] = stream.FlatMap(b.plain(n), name, func(r rec, emit func(rec)) {
			b.pause(n, r)
			if keeps(n.id, r) {
				emit(turned(n.id, r))
			}
		}, opts...)
	case split:
		b.sides[n.id] = new(stream.Stream[rec])
		opts = append(opts, stream.SideTo(odds, b.sides[n.id]))
		b.streams[n.id] = stream.Apply(b.plain(n), name, func() stream.Function[rec, rec] { return &splitter{} }, opts...)
	case side:
		b.streams[n.id] = *b.sides[n.in[0][0]]
	case one:
		b.streams[n.id] = stream.Apply(b.plain(n), name, func() stream.Function[rec, rec] { return &once{id: n.id} }, opts...)
	case sinkNode:
		stream.To(b.plain(n), name, b.sinkOf(n), opts...)
	default:
		b.buildKeyed(n, name, opts)
	}
}

// buildKeyed adds an operator with keyed state.
func (b *pipeline) buildKeyed(n *node, name string, opts []stream.Option) {
	var numbers stream.Stream[rec]
	c := counter{w: b.world, n: n}
	counted := append(opts, stream.SideTo(numbersTo, &numbers))
	switch n.kind {
	case count:
		b.streams[n.id] = stream.Process(b.keyed(n, 0), name, func() stream.Processor[int, rec, rec] { c := c; return &c }, counted...)
	case both:
		b.streams[n.id] = stream.CoProcess(b.keyed(n, 0), b.keyed(n, 1), name, func() stream.CoProcessor[int, rec, rec, rec] { return &coCounter{counter: c} }, counted...)
	case rules:
		b.streams[n.id] = stream.WithBroadcast(b.keyed(n, 0), b.union(n, 1), name, func() stream.BroadcastProcessor[int, rec, rec, rec] { return &ruled{counter: c} }, counted...)
	case ticks:
		b.streams[n.id] = stream.Process(b.keyed(n, 0), name, func() stream.Processor[int, rec, rec] { return &ticker{w: b.world, n: n} }, opts...)
		return
	case window:
		numbers = b.window(n, name, opts)
	case pairs:
		b.streams[n.id] = stream.WindowJoin(b.keyed(n, 0), b.keyed(n, 1), name, stream.Tumbling(pairSize*time.Millisecond),
			func(x, y rec) rec { return paired(n.id, x, y, pairTime(x)) }, opts...)
		return
	case near:
		b.streams[n.id] = stream.IntervalJoin(b.keyed(n, 0), b.keyed(n, 1), name, -nearBy*time.Millisecond, nearBy*time.Millisecond,
			func(x, y rec) rec { return paired(n.id, x, y, max(x.Time, y.Time)) }, opts...)
		return
	}
	stream.To(numbers, name+"-extra", b.extraOf(n), stream.UID(name+"-extra"), stream.Parallelism(b.parallelism[n.group]))
}

// window adds a window and returns the stream of its counts.
func (b *pipeline) window(n *node, name string, opts []stream.Option) stream.Stream[rec] {
	var late stream.Stream[rec]
	agg := stream.Aggregate[rec, int, int]{
		Init: func() int { return 0 }, Result: func(n int) int { return n }, Merge: func(a, b int) int { return a + b },
		Add: func(sum int, r rec) int { b.pause(n, r); return sum + 1 },
	}
	w := stream.Window(b.keyed(n, 0), name, stream.Tumbling(windowSize*time.Millisecond), agg, append(opts, stream.LateTo(&late))...)
	p := stream.Parallelism(b.parallelism[n.group])
	stream.To(late, name+"-late", b.late(n), stream.UID(name+"-late"), p)
	b.streams[n.id] = stream.Map(w, name+"-ends", func(r stream.WindowResult[int, int]) rec { return windowed(n.id, r.Key, r.Start) }, p)
	return stream.Map(w, name+"-sums", func(r stream.WindowResult[int, int]) rec { return summed(r.Key, r.Start, r.Value) }, p)
}

// union is the streams that an input of a node reads.
func (b *pipeline) union(n *node, input int) stream.Stream[rec] {
	var all []stream.Stream[rec]
	for _, id := range n.in[input] {
		all = append(all, b.streams[id])
	}
	return stream.Union(all[0], all[1:]...)
}

// plain is the input of a node without keys.
func (b *pipeline) plain(n *node) stream.Stream[rec] {
	switch u := b.union(n, 0); n.part {
	case dataflow.Rebalance:
		return stream.Rebalance(u)
	case dataflow.Broadcast:
		return stream.Broadcast(u)
	default:
		return u
	}
}

func (b *pipeline) keyed(n *node, input int) stream.Keyed[int, rec] {
	return stream.KeyBy(b.union(n, input), func(r rec) int { return r.Key })
}

// pauseEvery is how many records a slow operator takes between two pauses.
const pauseEvery = 4

// pause makes a slow operator slow. Records that are the same pause the same.
func (w *world) pause(n *node, r rec) {
	if n.slow > 0 && r.N%pauseEvery == 0 {
		time.Sleep(n.slow)
	}
}
