package stream_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// jitter is by how much event times of a twoModel go back at most.
const jitter = 20 * time.Millisecond

// twoModel is a random input of an operator with two inputs: slices of records whose
// times go back by jitter at most, so that none is late.
type twoModel struct {
	seed        uint64
	left, right [][]rec
	oneSource   bool // both come out of one source, so that they share subtasks and barriers
}

// newTwoModel makes about so many records per side. No two of a key and side have the
// same time.
func newTwoModel(seed uint64, records, keys int) twoModel {
	r := rand.New(rand.NewPCG(seed, 3))
	m := twoModel{seed: seed, oneSource: r.IntN(3) == 0}
	m.left, m.right = randomSlices(r, records, keys), randomSlices(r, records, keys)
	return m
}

func randomSlices(r *rand.Rand, records, keys int) (all [][]rec) {
	splits := 1 + r.IntN(3)
	for s := range splits {
		var slice []rec
		taken := map[[2]int64]bool{}
		now := int64(0)
		for n := range records / splits {
			now += int64(r.IntN(4))
			at := (now+int64(r.IntN(int(jitter.Milliseconds()))/splits))/int64(splits)*int64(splits) + int64(s)
			v := rec{Key: r.IntN(keys), Split: s, N: n, Time: at}
			if k := [2]int64{int64(v.Key), at}; !taken[k] {
				taken[k] = true
				slice = append(slice, v)
			}
		}
		all = append(all, slice)
	}
	return all
}

// sided is a record of one source for both sides.
type sided struct {
	Right bool
	R     rec
}

// sources declares the two inputs.
func (m twoModel) sources(p *stream.Pipeline) (a, b stream.Keyed[int, rec]) {
	key := func(r rec) int { return r.Key }
	opts := func(uid string) []stream.Option {
		return []stream.Option{stream.UID(uid), stream.TimestampsMillis(func(r rec) int64 { return r.Time }), stream.BoundedOutOfOrderness(2 * jitter)}
	}
	if !m.oneSource {
		left := stream.From(p, "left", &enginetest.Source[rec]{Slices: m.left, Chunk: 7}, opts("left")...)
		right := stream.From(p, "right", &enginetest.Source[rec]{Slices: m.right, Chunk: 5}, opts("right")...)
		return stream.KeyBy(left, key), stream.KeyBy(right, key)
	}
	var both [][]sided
	for _, s := range m.left {
		both = append(both, withSide(s, false))
	}
	for _, s := range m.right {
		both = append(both, withSide(s, true))
	}
	in := stream.From(p, "in", &enginetest.Source[sided]{Slices: both, Chunk: 9}, stream.UID("in"),
		stream.TimestampsMillis(func(s sided) int64 { return s.R.Time }), stream.BoundedOutOfOrderness(2*jitter))
	side := func(right bool) func(sided, func(rec)) {
		return func(s sided, emit func(rec)) {
			if s.Right == right {
				emit(s.R)
			}
		}
	}
	return stream.KeyBy(stream.FlatMap(in, "left", side(false)), key), stream.KeyBy(stream.FlatMap(in, "right", side(true)), key)
}

func withSide(slice []rec, right bool) (all []sided) {
	for _, r := range slice {
		all = append(all, sided{right, r})
	}
	return all
}

// check runs a job of both inputs with kills, other parallelisms and both backends, and
// compares what it commits with want, in any order.
func (m twoModel) check(t *testing.T, want []string, build func(a, b stream.Keyed[int, rec]) stream.Stream[string]) *enginetest.Cluster {
	t.Helper()
	r := rand.New(rand.NewPCG(m.seed, 4))
	c := enginetest.New(m.seed, 1+r.IntN(3))
	c.AbortOneIn = 4
	if m.seed%3 == 1 {
		c.Options.State.Backend, c.LocalDir = dataflow.BackendLSM, t.TempDir()
	}
	var writes, killAt atomic.Int64
	sink := enginetest.NewSink[string]()
	sink.OnWrite = func() {
		if writes.Add(1) == killAt.Load() {
			c.Kill()
		}
	}
	kills := r.IntN(4)
	for attempt := 0; ; attempt++ {
		killAt.Store(0)
		if attempt < kills {
			killAt.Store(writes.Load() + 1 + int64(r.IntN(10)))
		}
		err := c.Run(t.Context(), m.program(t, 1+r.IntN(4), sink, build))
		if err == nil {
			break
		}
		if !errors.Is(err, enginetest.ErrKilled) {
			t.Fatalf("attempt %d: %v", attempt+1, err)
		}
	}
	got := sink.Committed()
	slices.Sort(got)
	slices.Sort(want)
	compare(t, got, want)
	t.Logf("one source %v, %d processes, %d kills, %d checkpoints, %d lines", m.oneSource, c.Processes, kills, c.Completed, len(got))
	return c
}

// entries is how many an operator's state has in a cluster's last checkpoint.
func entries(c *enginetest.Cluster, uid dataflow.UID) (n int64) {
	for _, p := range c.Restore().Processes {
		for _, s := range p.Subtasks {
			for _, o := range s.Operators {
				if o.UID == uid && o.Keyed != nil {
					n += o.Keyed.Entries
				}
			}
		}
	}
	return n
}

func (m twoModel) program(t *testing.T, parallelism int, sink *enginetest.Sink[string], build func(a, b stream.Keyed[int, rec]) stream.Stream[string]) *engine.Program {
	t.Helper()
	return program(t, func(p *stream.Pipeline) {
		p.Parallelism(parallelism)
		a, b := m.sources(p)
		stream.To(build(a, b), "out", sink, stream.UID("out"))
	})
}

// forSeeds runs a test for random models, and prints their seeds.
func forSeeds(t *testing.T, records, keys int, run func(t *testing.T, m twoModel)) {
	t.Helper()
	runs := uint64(12)
	if testing.Short() {
		runs = 4
	}
	base := uint64(time.Now().UnixNano()) % 1_000_000
	for i := range runs {
		seed := base + i
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { run(t, newTwoModel(seed, records, keys)) })
	}
}

// pairsOf calls f for all pairs of records with the same key.
func (m twoModel) pairsOf(f func(a, b rec)) {
	byKey := map[int][]rec{}
	for _, b := range slices.Concat(m.right...) {
		byKey[b.Key] = append(byKey[b.Key], b)
	}
	for _, a := range slices.Concat(m.left...) {
		for _, b := range byKey[a.Key] {
			f(a, b)
		}
	}
}

// pairLine is how tests print a pair.
func pairLine(a, b rec) string {
	return fmt.Sprintf("%d: %d/%d at %d and %d/%d at %d", a.Key, a.Split, a.N, a.Time, b.Split, b.N, b.Time)
}
