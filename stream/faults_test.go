package stream_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// eachSeed runs a test for some seeds that differ from day to day.
func eachSeed(t *testing.T, runs uint64, run func(t *testing.T, seed uint64)) {
	t.Helper()
	if testing.Short() {
		runs = max(1, runs/4)
	}
	base := uint64(time.Now().UnixNano()) % 1_000_000
	for seed := base; seed < base+runs; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { run(t, seed) })
	}
}

// underFaults runs a job to its end on either backend, in one to three processes, with
// another parallelism after each time that it is killed: in the middle of writing to
// sink. writes is how often the job may have written when the next kill comes.
func underFaults[T any](t *testing.T, seed uint64, sink *enginetest.Sink[T], writes int, build func(p *stream.Pipeline)) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 11))
	c := enginetest.New(seed, 1+r.IntN(3))
	c.AbortOneIn = 4
	if r.IntN(3) == 0 {
		c.Options.State.Backend = dataflow.BackendLSM
	}
	var written, killAt atomic.Int64
	sink.OnWrite = func() {
		if written.Add(1) == killAt.Load() {
			c.Kill()
		}
	}
	kills := 1 + r.IntN(3)
	for attempt := 0; ; attempt++ {
		killAt.Store(0)
		if attempt < kills {
			killAt.Store(written.Load() + 1 + int64(r.IntN(writes)))
		}
		err := c.Run(t.Context(), program(t, func(p *stream.Pipeline) {
			p.Parallelism(1 + r.IntN(4))
			build(p)
		}))
		if err == nil {
			return
		}
		if !errors.Is(err, enginetest.ErrKilled) {
			t.Fatalf("attempt %d: %v", attempt+1, err)
		}
	}
}
