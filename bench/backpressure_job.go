package bench

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/stream"
)

// BackpressureJob is the name under which the executable starts itself again as the job that
// is held back: a hidden command that calls RunBackpressureJob.
const BackpressureJob = "__backpressure"

// RunBackpressureJob is the held-back job's program.
func RunBackpressureJob(ctx context.Context, args []string) error {
	return stream.Run(ctx, "backpressure", args, stream.With(throttledJob{}, buildThrottled))
}

// throttledJob is the arguments of the job.
type throttledJob struct {
	Rate float64 // records a second of all sources
	Sink float64 // records a second of all sinks
}

// parcel is a record of about a kilobyte.
type parcel struct {
	Key    uint64
	Number int64
	Body   []byte
}

const (
	parcelBody = 1000
	parcelKeys = 10_000
	// throttledSplits is more than the parallelism of a run.
	throttledSplits = 64
)

// numbering is what a key's counter makes of a record.
type numbering struct {
	stream.NoTimers[uint64, parcel]
	n *stream.Value[int64]
}

func (f *numbering) Open(s *stream.Setup) error {
	f.n = stream.ValueState[int64](s, "n")
	return nil
}

func (f *numbering) Process(ctx *stream.Context[uint64, parcel], p parcel) error {
	return f.n.Update(func(n *int64, _ bool) {
		*n++
		p.Number = *n
		ctx.Emit(p)
	})
}

// buildThrottled builds the job, whose exchanges are of both kinds that barriers may overtake:
//
//	source ─ hash exchange ─ count ─ rebalance ─ throttled sink
func buildThrottled(p *stream.Pipeline, j throttledJob) {
	source := &generator.Source[parcel]{Rate: j.Rate, Width: throttledSplits, Make: func(n int64, r *rand.Rand) parcel {
		return parcel{Key: r.Uint64N(parcelKeys), Number: n, Body: make([]byte, parcelBody)}
	}}
	in := stream.From(p, "parcels", source, stream.UID("parcels"))
	counted := stream.Process(stream.KeyBy(in, func(p parcel) uint64 { return p.Key }), "count",
		func() stream.Processor[uint64, parcel, parcel] { return &numbering{} }, stream.UID("count"))
	stream.To(stream.Rebalance(counted), "throttled", throttled{j.Sink}, stream.UID("throttled"))
}

// throttled is a sink that takes so many records a second in all its subtasks together.
type throttled struct{ rate float64 }

func (s throttled) Open(_ context.Context, env connector.Env) (connector.Writer[parcel], error) {
	return &throttledWriter{each: time.Duration(float64(env.Parallelism) / s.rate * float64(time.Second))}, nil
}

// throttledWriter takes each of its records for so long.
type throttledWriter struct {
	each time.Duration
	free time.Time // when it has taken what it was given
}

func (w *throttledWriter) Write(values []parcel, _ []int64) error {
	if now := time.Now(); w.free.Before(now) {
		w.free = now
	}
	w.free = w.free.Add(time.Duration(len(values)) * w.each)
	time.Sleep(time.Until(w.free))
	return nil
}

func (w *throttledWriter) Prepare(dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	return nil, nil
}

func (w *throttledWriter) Close() error { return nil }

var _ connector.Sink[parcel] = throttled{}
