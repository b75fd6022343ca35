package bench

import (
	"context"
	"strconv"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/stream"
)

// The job that the pipeline measures, in two stages and two tasks:
//
//	source ─ hash exchange ─ aggregate per key ─ nothing
//
// Its source makes records by a clock that waits for nobody: a record's latency
// counts from the moment at which it was due, however late it was made.

// event is a record of the job. At is when it was due, since the job's epoch.
type event struct {
	Key uint64
	At  time.Duration
}

// aggregate is the state of a key.
type aggregate struct{ Count, Sum, Min, Max int64 }

// newJob builds the job. rec hears of all records that were due after warm-up.
func newJob(backend string, clock *paceClock, keys uint64, rec *recorder) (*engine.Program, error) {
	p := stream.NewPipeline("bench")
	p.Options(dataflow.Options{CheckpointInterval: -1, State: dataflow.StateOptions{Backend: backend}})
	events := stream.From[event](p, "events", &paced{clock: clock, keys: keys}, stream.UID("events"))
	byKey := stream.KeyBy(events, func(e event) uint64 { return e.Key })
	none := stream.Process(byKey, "aggregate", func() stream.Processor[uint64, event, event] {
		return &aggregator{clock: clock, rec: rec}
	}, stream.UID("aggregate"))
	stream.To(none, "nothing", blackhole.Sink[event]{}, stream.UID("nothing"))
	return p.Program()
}

// paceClock is the time of the job: records are due at rate since its epoch.
type paceClock struct {
	epoch time.Time
	rate  float64
}

func (c *paceClock) now() time.Duration { return time.Since(c.epoch) }

// paced is a source with one split.
type paced struct {
	clock *paceClock
	keys  uint64
}

func (s *paced) Splits(context.Context, connector.Env) ([]connector.Split, error) {
	return []connector.Split{{ID: "0"}}, nil
}

func (s *paced) Open(context.Context, connector.Env, connector.Split, []byte) (connector.Reader[event], error) {
	return &pacedReader{clock: s.clock, keys: s.keys}, nil
}

type pacedReader struct {
	clock *paceClock
	keys  uint64
	made  int64
	last  time.Duration // when it made records last
}

// Next makes the records that are due: a full batch at once, fewer once in a
// millisecond, so that the source does not spin.
func (r *pacedReader) Next(_ context.Context, most int, out *connector.Records[event]) (time.Duration, error) {
	now := r.clock.now()
	owed := int64(now.Seconds()*r.clock.rate) - r.made
	if wait := linger - (now - r.last); owed < int64(most) && (owed <= 0 || wait > 0) {
		return max(wait, linger/10), nil
	}
	r.last = now
	for range min(owed, int64(most)) {
		at := time.Duration(float64(r.made) / r.clock.rate * float64(time.Second))
		out.Values = append(out.Values, event{mix(mix(uint64(r.made)) % r.keys), at})
		out.Times = append(out.Times, connector.NoTime)
		r.made++
	}
	return 0, nil
}

// Position is the number of the next record.
func (r *pacedReader) Position() []byte { return strconv.AppendInt(nil, r.made, 10) }

func (r *pacedReader) Close() error { return nil }

// recorder takes latencies. One goroutine uses it until the job has ended.
type recorder struct {
	from    time.Duration // records that were due before it do not count
	latency histogram
	last    time.Duration // when the last record was processed
}

// aggregator changes the aggregate of each record's key and notes how long after
// it was due that is done.
type aggregator struct {
	stream.NoTimers[uint64, event]
	clock *paceClock
	rec   *recorder
	aggs  *stream.Value[aggregate]
	now   int64
	add   func(a *aggregate, existed bool)
}

func (g *aggregator) Open(s *stream.Setup) error {
	g.aggs = stream.ValueState[aggregate](s, "aggregates")
	g.add = func(a *aggregate, existed bool) {
		if !existed {
			a.Min = g.now
		}
		a.Count++
		a.Sum += g.now
		a.Min, a.Max = min(a.Min, g.now), max(a.Max, g.now)
	}
	return nil
}

func (g *aggregator) Process(_ *stream.Context[uint64, event], e event) error {
	g.now = int64(e.At)
	if err := g.aggs.Update(g.add); err != nil {
		return err
	}
	if e.At >= g.rec.from {
		g.rec.last = g.clock.now()
		g.rec.latency.add(g.rec.last - e.At)
	}
	return nil
}
