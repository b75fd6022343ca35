package stream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// counted keeps its records until the end of all input, and tells then how many
// broadcast records there were for each one's kind.
type counted struct {
	waiting *stream.MapOf[int, rec]
	kinds   *stream.Broadcasted[int, int]
}

func kindOf(r rec) int { return r.Key % 5 }

func (c *counted) Open(s *stream.Setup) error {
	c.waiting = stream.MapState[int, rec](s, "waiting")
	c.kinds = stream.BroadcastState[int, int](s, "kinds")
	return nil
}

func (c *counted) Process(ctx *stream.Context[int, string], r rec) error {
	ctx.SetTimer(1<<50, "end")
	return c.waiting.Put(r.Split*100_000+r.N, r)
}

func (c *counted) ProcessBroadcast(_ *stream.Emitter[string], r rec) error {
	n, _ := c.kinds.Get(kindOf(r))
	c.kinds.Put(kindOf(r), n+1)
	return nil
}

func (c *counted) OnTimer(ctx *stream.Context[int, string], _ stream.Timer) error {
	err := c.waiting.Range(func(_ int, r rec) bool {
		n, _ := c.kinds.Get(kindOf(r))
		ctx.Emit(fmt.Sprintf("%d/%d: %d of kind %d", r.Split, r.N, n, kindOf(r)))
		return true
	})
	c.waiting.Clear()
	return err
}

// TestWithBroadcastExactlyOnce: every subtask has seen each broadcast record once, after
// any number of restarts with any parallelism.
func TestWithBroadcastExactlyOnce(t *testing.T) {
	forSeeds(t, 600, 20, func(t *testing.T, m twoModel) {
		kinds := map[int]int{}
		for _, r := range slices.Concat(m.right...) {
			kinds[kindOf(r)]++
		}
		var want []string
		for _, r := range slices.Concat(m.left...) {
			want = append(want, fmt.Sprintf("%d/%d: %d of kind %d", r.Split, r.N, kinds[kindOf(r)], kindOf(r)))
		}
		m.check(t, want, func(a, b stream.Keyed[int, rec]) stream.Stream[string] {
			return stream.WithBroadcast(a, b.Stream(), "count", func() stream.BroadcastProcessor[int, rec, rec, string] { return &counted{} }, stream.UID("count"))
		})
	})
}

// trespasser uses keyed state where there is no key.
type trespasser struct{ counted }

func (t *trespasser) ProcessBroadcast(_ *stream.Emitter[string], r rec) error {
	return t.waiting.Put(1, r)
}

// TestBroadcastHasNoKey: a broadcast record must not change the state of whichever key came
// before it.
func TestBroadcastHasNoKey(t *testing.T) {
	for _, backend := range []string{dataflow.BackendMemory, dataflow.BackendLSM} {
		m := newTwoModel(1, 50, 5)
		m.oneSource = false
		c := enginetest.New(1, 1)
		c.Options.State.Backend, c.LocalDir = backend, t.TempDir()
		err := c.Run(t.Context(), m.program(t, 2, enginetest.NewSink[string](), func(a, b stream.Keyed[int, rec]) stream.Stream[string] {
			return stream.WithBroadcast(a, b.Stream(), "count", func() stream.BroadcastProcessor[int, rec, rec, string] { return &trespasser{} }, stream.UID("count"))
		}))
		var p *engine.PanicError
		if !errors.As(err, &p) || !strings.Contains(err.Error(), `operator "count"`) || !strings.Contains(string(p.Stack), "trespasser).ProcessBroadcast") {
			t.Errorf("%s: got %v, want a panic that points at ProcessBroadcast", backend, err)
		}
	}
}
