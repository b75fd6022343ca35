package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// Orders and the clicks that led to them: clicks can be read much faster, and wait in the
// windows for the orders no further than a minute of event time.
func ExampleAlign() {
	orders := &enginetest.Source[event]{Slices: [][]event{{{"ann", 10_000}, {"bob", 70_000}}}}
	clicks := &enginetest.Source[event]{Slices: [][]event{{{"ann", 1_000}, {"ann", 9_000}, {"bob", 61_000}}, {{"cid", 30_000}}}}
	sink := enginetest.NewSink[stream.WindowResult[string, int]]()
	shop := func(p *stream.Pipeline) {
		read := func(name string, src *enginetest.Source[event]) stream.Stream[event] {
			return stream.From(p, name, src, stream.UID(name), stream.TimestampsMillis(eventTime), stream.Monotonic(),
				stream.IdleAfter(time.Second), stream.Align("shop", time.Minute))
		}
		both := stream.KeyBy(stream.Union(read("orders", orders), read("clicks", clicks)), func(e event) string { return e.Key })
		stream.To(stream.Window(both, "count", stream.Tumbling(time.Minute), count(), stream.UID("count")), "out", sink, stream.UID("out"))
	}
	dir, err := os.MkdirTemp("", "shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	build := func(p *stream.Pipeline, _ []string) error { shop(p); return nil }
	if err := stream.Run(context.Background(), "shop", []string{"--cairn.dir=" + dir}, build); err != nil {
		fmt.Println(err)
	}
	var lines []string
	for _, w := range sink.Committed() {
		lines = append(lines, fmt.Sprintf("%s in minute %d: %d", w.Key, w.Start/60_000, w.Value))
	}
	slices.Sort(lines)
	fmt.Println(strings.Join(lines, "\n"))
	// Output:
	// ann in minute 0: 3
	// bob in minute 1: 2
	// cid in minute 0: 1
}

func TestAlignOptions(t *testing.T) {
	for _, c := range []struct {
		option stream.Option
		want   string
	}{
		{stream.Align("", time.Second), `operator "in": Align with an empty group: name the sources that shall stay together`},
		{stream.Align("g", 0), `operator "in": Align with a drift of 0s: use 1ms or more`},
		{stream.Align("g", -time.Hour), `operator "in": Align with a drift of -1h0m0s: use 1ms or more`},
	} {
		p := stream.NewPipeline("test")
		in := stream.From(p, "in", &enginetest.Source[event]{}, stream.UID("in"), c.option)
		stream.To(stream.Map(in, "copy", func(e event) event { return e }, stream.Align("g", 1)), "out", enginetest.NewSink[event](), stream.UID("out"))
		_, err := p.Program()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		if err == nil || !strings.Contains(err.Error(), "it takes no [Align]") {
			t.Errorf("Align of a map is accepted: %v", err)
		}
	}
	src := &enginetest.Source[event]{Slices: [][]event{{{"a", 1}}}}
	err := enginetest.New(1, 1).Run(t.Context(), program(t, func(p *stream.Pipeline) {
		in := stream.From(p, "in", src, stream.UID("in"), stream.TimestampsMillis(eventTime), stream.Align("g", time.Second))
		stream.To(in, "out", enginetest.NewSink[event](), stream.UID("out"))
	}))
	if op := (*engine.OperatorError)(nil); !errors.As(err, &op) || op.UID != "in" || !strings.Contains(err.Error(), "give it Monotonic or BoundedOutOfOrderness") {
		t.Errorf("without watermarks: %v", err)
	}
}

// pace follows how far the splits of all sources have been read.
type pace struct {
	mu    sync.Mutex
	reads map[string]int64 // watermark by split
	ahead int64            // the most that a split was ahead of another when it was read
}

// watch notes each read of a source. It is called before the read.
func (p *pace) watch(name string, src *enginetest.Source[event]) {
	p.reads = map[string]int64{}
	src.Hold = func(split, position int) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		wm := int64(-1)
		if position > 0 {
			wm = src.Slices[split][position-1].T
		}
		if position > 0 {
			for _, other := range p.reads {
				p.ahead = max(p.ahead, wm-other)
			}
		}
		p.reads[fmt.Sprint(name, split)] = wm
		if position+src.Chunk >= len(src.Slices[split]) {
			delete(p.reads, fmt.Sprint(name, split)) // the last read
		}
		return false
	}
}

// TestAlignModel reads random splits of very different density, with kills and other
// parallelisms. Nothing is lost or late by alignment; in one process no split is ever
// further ahead than drift and a read.
func TestAlignModel(t *testing.T) {
	base := uint64(time.Now().UnixNano()) % 1_000_000
	for i := range uint64(10) {
		seed := base + i
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { alignModel(t, seed) })
	}
}

func alignModel(t *testing.T, seed uint64) {
	const drift, span, chunk = 500, 20_000, 5
	r := rand.New(rand.NewPCG(seed, 0))
	want := map[string]int{}
	gap := int64(0) // the longest that a read covers
	var p pace
	source := func(name string) *enginetest.Source[event] {
		src := &enginetest.Source[event]{Chunk: chunk}
		for range 1 + r.IntN(4) {
			step := int64(1 + r.IntN(100))
			var slice []event
			for at := int64(0); at < span; at += 1 + r.Int64N(2*step) {
				e := event{fmt.Sprint("key", r.IntN(5)), at}
				want[fmt.Sprintf("%s at %d", e.Key, at/100*100)]++
				slice = append(slice, e)
			}
			gap = max(gap, chunk*2*step)
			src.Slices = append(src.Slices, slice)
		}
		p.watch(name, src)
		return src
	}
	first, second := source("first"), source("second")
	c := enginetest.New(seed, 1+r.IntN(3))
	var writes, killAt atomic.Int64
	sink, lates := enginetest.NewSink[stream.WindowResult[string, int]](), enginetest.NewSink[event]()
	sink.OnWrite = func() {
		if writes.Add(1) == killAt.Load() {
			c.Kill()
		}
	}
	for attempt := 0; ; attempt++ {
		killAt.Store(0)
		if attempt < 3 {
			killAt.Store(writes.Load() + 1 + int64(r.IntN(50)))
		}
		prog := program(t, func(p *stream.Pipeline) {
			p.Parallelism(1 + r.IntN(4))
			read := func(name string, src *enginetest.Source[event]) stream.Stream[event] {
				return stream.From(p, name, src, stream.UID(name), stream.TimestampsMillis(eventTime), stream.Monotonic(), stream.Align("g", drift*time.Millisecond))
			}
			both := stream.KeyBy(stream.Union(read("first", first), read("second", second)), func(e event) string { return e.Key })
			var late stream.Stream[event]
			w := stream.Window(both, "w", stream.Tumbling(100*time.Millisecond), count(), stream.UID("w"), stream.LateTo(&late))
			stream.To(w, "out", sink, stream.UID("out"))
			stream.To(late, "late", lates, stream.UID("late"))
		})
		err := c.Run(t.Context(), prog)
		if err == nil {
			break
		}
		if !errors.Is(err, enginetest.ErrKilled) {
			t.Fatal(err)
		}
		p.mu.Lock()
		clear(p.reads) // the next attempt begins at the last checkpoint
		p.mu.Unlock()
	}
	if late := lates.Committed(); len(late) > 0 {
		t.Errorf("late: %v", late)
	}
	got := map[string]int{}
	for _, w := range sink.Committed() {
		got[fmt.Sprintf("%s at %d", w.Key, w.Start)] += w.Value
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("windows %v, want %v", got, want)
	}
	t.Logf("%d processes, at most %d ms ahead, a read covers up to %d", c.Processes, p.ahead, gap)
	if c.Processes == 1 && p.ahead > drift+gap {
		t.Errorf("a split was read %d ms ahead of another, want at most %d", p.ahead, drift+gap)
	}
}
