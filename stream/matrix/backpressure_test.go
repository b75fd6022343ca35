package matrix

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
)

const (
	// A source that would read 100,000 records a second, before a sink that takes a
	// hundredth of them.
	pressedPace = 10 * time.Microsecond
	pressedEach = 100 * pressedPace
	// pressedFill is long enough for all buffers to fill, pressedTimeout is the
	// checkpoint timeout.
	pressedFill    = 3 * time.Second
	pressedTimeout = 5 * time.Second
	pressedWithin  = 2 * time.Second
)

// TestBackpressure: before a sink that takes 1 % of the input, with all buffers full, aligned
// checkpoints time out, and every one completes within 2 s if its barriers may overtake.
func TestBackpressure(t *testing.T) {
	for name, c := range map[string]struct {
		trigger   engine.Trigger
		completes bool
	}{
		"aligned":              {engine.Trigger{}, false},
		"aligned with timeout": {engine.Trigger{AlignedTimeout: 500 * time.Millisecond}, true},
		"unaligned":            {engine.Trigger{Mode: engine.Unaligned}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, kept := pressed(t, c.trigger)
				for i, d := range took {
					t.Logf("checkpoint %d: %v, %d records in flight", i+1, d, kept[i])
					switch {
					case !c.completes && d < pressedTimeout:
						t.Errorf("checkpoint %d completed after %v: the buffers were not full", i+1, d)
					case c.completes && d > pressedWithin:
						t.Errorf("checkpoint %d took %v, want %v at most", i+1, d, pressedWithin)
					case c.completes && kept[i] == 0:
						t.Errorf("checkpoint %d kept nothing in flight", i+1)
					}
				}
			})
		})
	}
}

// pressed takes some checkpoints of a job under backpressure, and tells how long each
// took, pressedTimeout if it did not complete, and how many records it kept in flight.
func pressed(t *testing.T, trigger engine.Trigger) (took []time.Duration, kept []int) {
	w := pressedWorld()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.kill, w.attempt, w.begun = cancel, 1, time.Now()
	c := &controller{w: w, heard: newQueue[news](), parallelism: [groupsOf]int{2, 2, 2}}
	if err := w.open(ctx, c, 2); err != nil {
		t.Fatal(err)
	}
	group, inner := errgroup.WithContext(ctx)
	for _, s := range c.shares {
		group.Go(func() error { return s.attempt.Run(inner) })
	}
	group.Go(func() error {
		time.Sleep(pressedFill)
		for id := range dataflow.CheckpointID(4) {
			trigger.ID, trigger.At = id+1, time.Now()
			in, err := c.takePressed(inner, trigger)
			if err != nil {
				return err
			}
			took, kept = append(took, time.Since(trigger.At)), append(kept, in)
		}
		return enginetest.ErrKilled
	})
	if err := group.Wait(); !errors.Is(err, enginetest.ErrKilled) {
		t.Fatal(err)
	}
	return took, kept
}

// takePressed takes a checkpoint, gives it up at pressedTimeout, and tells what it kept in flight.
func (c *controller) takePressed(ctx context.Context, trigger engine.Trigger) (inFlightRows int, err error) {
	for _, s := range c.shares {
		s.attempt.Trigger(trigger)
	}
	c.parts = map[dataflow.Incarnation]*snapshot.Process{}
	expires := time.NewTimer(pressedTimeout)
	defer expires.Stop()
	for len(c.parts) < len(c.shares) {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-expires.C:
			for _, s := range c.shares {
				s.attempt.Aborted(trigger.ID)
			}
			return 0, nil
		case <-c.heard.more:
			for _, n := range c.heard.take() {
				if n.declined != nil {
					return 0, n.declined
				}
				if n.id == trigger.ID && n.part != nil {
					c.parts[n.process] = n.part
				}
			}
		}
	}
	r := &engine.Restore{}
	for _, p := range c.parts {
		r.Processes = append(r.Processes, *p)
	}
	for _, s := range c.shares {
		s.attempt.Completed(trigger.ID)
	}
	in, out := inFlight(r)
	return in + out, nil
}

// pressedWorld is a job of a fast source, a hash edge, a count, a rebalance edge and a slow sink.
func pressedWorld() *world {
	w := &world{
		seed: 1, graph: &graph{r: rand.New(rand.NewPCG(1, 1))}, r: rand.New(rand.NewPCG(1, 2)), cover: newCoverage(), chunk: 63, pace: pressedPace,
		options: dataflow.Options{BatchRows: 32, ChannelBatches: 64}.WithDefaults(), aborts: newQueue[struct{}](),
		sinks: map[int]*watchedSink{}, extras: map[int]*watchedSink{}, lates: map[int]*watchedSink{},
	}
	w.options.State.Compression, w.options.State.LocalRecovery = "none", "off"
	w.bucket = &watchedBucket{mem.New(), w}
	in := &node{id: 0, kind: source}
	for s := range 2 {
		slice := make([]rec, 30_000) // more than the sink takes until the end
		for i := range slice {
			slice[i] = rec{Key: i % keys, N: i, Path: mix(0, s), Time: int64(i)}
		}
		in.slices = append(in.slices, slice)
	}
	counts := &node{id: 1, kind: count, in: [2][]int{{0}}, part: dataflow.Hash}
	slow := &node{id: 2, kind: sinkNode, in: [2][]int{{1}}, part: dataflow.Rebalance}
	w.graph.nodes = []*node{in, counts, slow}
	w.sinkOf(slow).each = 2 * pressedEach // two subtasks
	return w
}
