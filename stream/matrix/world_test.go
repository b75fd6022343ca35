package matrix

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore/mem"
)

// mode says how the barriers of a run's checkpoints pass.
type mode int

const (
	aligned mode = iota
	unaligned
	alignedTimeout
	atLeastOnce
	mixed // another one for each checkpoint, as when the options change at run time
	lastMode
)

var modeNames = [lastMode]string{"aligned", "unaligned", "aligned with timeout", "at least once", "mixed"}

func (m mode) String() string { return modeNames[m] }

// world is one seed's job, its faults, and what outlives an attempt.
type world struct {
	seed    uint64
	mode    mode
	repeats bool // the guarantee is at least once
	graph   *graph
	options dataflow.Options
	timeout time.Duration // of aligned barriers
	chunk   int           // records of a read, less one
	pace    time.Duration // between two records of a split; 0: as fast as can be
	upload  time.Duration // of an object
	expiry  time.Duration // of a checkpoint
	begun   time.Time
	cover   *coverage

	bucket        *watchedBucket
	sinks         map[int]*watchedSink
	extras        map[int]*watchedSink
	lates         map[int]*watchedSink
	schedule      []string
	restore       *engine.Restore
	held          bool          // restore has records in flight
	parallelismOf [groupsOf]int // in the checkpoint that restore is
	lastID        dataflow.CheckpointID
	attempt       dataflow.Attempt

	mu     sync.Mutex
	r      *rand.Rand // locked: operators ask it too
	seen   [lastPhase]int
	strike strike
	struck int // how many of the seed's own faults have had their turn
	armed  bool
	kill   context.CancelCauseFunc
	aborts *queue[struct{}]
}

// newWorld makes the job of a seed.
func newWorld(seed uint64, cover *coverage) *world {
	r := rand.New(rand.NewPCG(seed, 7))
	w := &world{
		seed: seed, mode: mode(seed % uint64(lastMode)), r: r, cover: cover, graph: newGraph(r, 1+int(seed/uint64(lastMode)%inputsMax)),
		timeout: time.Duration(1+r.IntN(40)) * time.Millisecond, chunk: r.IntN(12),
		upload: time.Duration(r.IntN(6)) * time.Millisecond, expiry: time.Hour,
		sinks: map[int]*watchedSink{}, extras: map[int]*watchedSink{}, lates: map[int]*watchedSink{},
	}
	w.repeats = w.mode == atLeastOnce
	if r.IntN(2) == 0 {
		w.pace = time.Duration(r.IntN(5)) * time.Millisecond
	}
	if r.IntN(4) == 0 {
		w.expiry = time.Duration(20+r.IntN(500)) * time.Millisecond
	}
	w.options = dataflow.Options{BatchRows: 2 + r.IntN(14), ChannelBatches: 1 + r.IntN(3)}.WithDefaults()
	if r.IntN(3) == 0 {
		w.options.BatchLinger = -1
	}
	w.options.State.Compression, w.options.State.LocalRecovery = "none", "off"
	w.bucket = &watchedBucket{mem.New(), w}
	return w
}

// chance is true once in n times.
func (w *world) chance(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.r.IntN(n) == 0
}

// sinkOf is a node's sink: the same in all attempts.
func (w *world) sinkOf(n *node) *watchedSink  { return w.kept(w.sinks, n, n.slow) }
func (w *world) extraOf(n *node) *watchedSink { return w.kept(w.extras, n, 0) }
func (w *world) late(n *node) *watchedSink    { return w.kept(w.lates, n, 0) }

func (w *world) kept(in map[int]*watchedSink, n *node, slow time.Duration) *watchedSink {
	if in[n.id] == nil {
		fails := 0
		if w.seed%7 == 0 {
			fails = 20
		}
		in[n.id] = w.newSink(slow, fails)
	}
	return in[n.id]
}

// attemptsMax is how often a job starts; faults strike all attempts but the last.
const attemptsMax = 5

// stuckAfter is more virtual time than an attempt takes.
const stuckAfter = time.Hour

// run runs the job to its end through its faults.
func (w *world) run(ctx context.Context) error {
	w.begun = time.Now()
	kills := 1 + w.r.IntN(attemptsMax-1)
	for n := 0; ; n++ {
		var parallelism [groupsOf]int
		for i := range parallelism {
			parallelism[i] = 1 + w.r.IntN(8)
		}
		if w.restore != nil && w.r.IntN(3) == 0 {
			parallelism = w.parallelismOf
		}
		w.countRestore(parallelism)
		w.arm(n < kills)
		processes := 1 + w.r.IntN(4)
		w.note("attempt %d: parallelism %v, %d processes, restore %v, %s", n+1, parallelism, processes, w.restored(), w.planned())
		err := w.runAttempt(ctx, parallelism, processes)
		if err == nil {
			return nil
		}
		w.note("attempt %d ended: %v", n+1, err)
		if !w.expected(err) {
			return fmt.Errorf("attempt %d: %w", n+1, err)
		}
	}
}

// countRestore counts a restore of records in flight.
func (w *world) countRestore(parallelism [groupsOf]int) {
	if !w.held {
		return
	}
	how := "another parallelism"
	if parallelism == w.parallelismOf {
		how = "the same parallelism"
	}
	w.cover.hit(fmt.Sprintf("%v: restored records in flight, %s", w.mode, how))
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.schedule = append(w.schedule, fmt.Sprintf("%8v ", time.Since(w.begun).Round(time.Microsecond))+fmt.Sprintf(format, args...))
}

// describe is all that is known of the run.
func (w *world) describe() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%v, batches of %d, %d in a channel, linger %v, pace %v, upload %v, aligned timeout %v, expiry %v\ngraph:\n%sschedule:\n  %s\n", w.mode,
		w.options.BatchRows, w.options.ChannelBatches, w.options.BatchLinger, w.pace, w.upload, w.timeout, w.expiry, w.graph, strings.Join(w.schedule, "\n  "))
}

func (w *world) log() *slog.Logger { return slog.New(slog.DiscardHandler) }
