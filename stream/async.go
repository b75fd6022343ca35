package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
)

// AsyncOptions say how Async asks. The zero value is good: unordered, 100 at once,
// one try of 30 s at most.
type AsyncOptions struct {
	// Ordered emits the results in the order of their records. Otherwise they are
	// emitted as they come, but none on the other side of a watermark than its
	// record. Ordered costs time: a slow answer holds back those behind it.
	Ordered bool
	// InFlight bounds the lookups of a subtask that run at once, together with
	// the results that wait for their turn. Default 100.
	InFlight int
	// Timeout is how long one try may take. Default 30 s.
	Timeout time.Duration
	// Retries is how often a lookup that failed is tried again. Default 0.
	Retries int
	// Backoff is the wait before the first retry. It doubles with each, up to
	// a minute. Default 100 ms.
	Backoff time.Duration
}

// The defaults of AsyncOptions. So many in flight keep a service of 10 ms busy with
// 10,000 lookups per second and subtask.
const (
	inFlightDefault = 100
	timeoutDefault  = 30 * time.Second
	backoffDefault  = 100 * time.Millisecond
	backoffMax      = time.Minute
)

func (o AsyncOptions) withDefaults() AsyncOptions {
	if o.InFlight == 0 {
		o.InFlight = inFlightDefault
	}
	if o.Timeout == 0 {
		o.Timeout = timeoutDefault
	}
	if o.Backoff == 0 {
		o.Backoff = backoffDefault
	}
	return o
}

// check reports every option that makes no sense.
func (o AsyncOptions) check() error {
	var problems []error
	for _, c := range []struct {
		name string
		bad  bool
		is   any
	}{
		{"InFlight", o.InFlight < 1, o.InFlight},
		{"Timeout", o.Timeout < 0, o.Timeout},
		{"Retries", o.Retries < 0, o.Retries},
		{"Backoff", o.Backoff < 0, o.Backoff},
	} {
		if c.bad {
			problems = append(problems, fmt.Errorf("%s is %v: give a positive one, or none for the default", c.name, c.is))
		}
	}
	return errors.Join(problems...)
}

// Async makes a result of each record by a lookup that takes time, such as a call of a
// service, and has many of them under way at once. The result has the event time of
// its record.
//
// lookup is called on many goroutines at once, so what it uses must be safe for that,
// and it must return soon when its ctx ends: with the time of a try or with the
// attempt. A lookup that fails after all retries, or panics, ends the attempt,
// unless PoisonTo sets the record aside.
//
// Each record's result is emitted exactly once, but lookup may be called again for
// it, after a restart too: the records in flight are part of each checkpoint, and
// are asked for first when the job restarts. So checkpoints do not wait for answers.
// While more records have come than may be in flight, a subtask takes no more of
// them, and a barrier behind records waits for them; Timeout bounds that.
//
// It needs a UID.
//
//	named := stream.Async(orders, "names", func(ctx context.Context, o Order) (Named, error) {
//		name, err := client.Name(ctx, o.Customer)
//		return Named{o, name}, err
//	}, stream.AsyncOptions{InFlight: 50, Timeout: time.Second, Retries: 3}, stream.UID("names"))
func Async[In, Out any](s Stream[In], name string, lookup func(ctx context.Context, v In) (Out, error), o AsyncOptions, opts ...Option) Stream[Out] {
	set := s.p.apply(name, "an async lookup", opts)
	o = o.withDefaults()
	s.p.problem(name, o.check())
	if _, err := codec.For[In](); err != nil {
		s.p.problem(name, fmt.Errorf("records in flight are state: %w", err))
	}
	code := engine.NewAsync(func(ctx *engine.OpContext) (engine.Lookups[In, Out], error) {
		return engine.Lookups[In, Out]{
			Ask: asking(lookup, o), Failed: failedLookup[In](ctx, set), Ordered: o.Ordered, InFlight: o.InFlight,
		}, nil
	})
	op := s.p.add(dataflow.Operator{Name: name, Kind: dataflow.Transform, Stateful: true}, set, code)
	connect(s, op, "", engine.NewEdge[In])
	set.connectPoison(s.p, op)
	return newStream[Out](s.p, op, 0)
}

// failedLookup takes the records whose lookup failed.
func failedLookup[In any](ctx *engine.OpContext, set *settings) func(In, int64, error) error {
	if bad := newPoisons[In](ctx, set); bad != nil {
		return bad.add
	}
	return func(_ In, _ int64, err error) error { return err }
}

// asking is a lookup with its retries.
func asking[In, Out any](lookup func(context.Context, In) (Out, error), o AsyncOptions) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, v In) (Out, error) {
		wait := o.Backoff
		for try := 1; ; try++ {
			out, err := askOnce(ctx, lookup, v, o.Timeout)
			switch {
			case err == nil:
				return out, nil
			case try > o.Retries:
				return out, fmt.Errorf("lookup: try %d, of at most %v: %w", try, o.Timeout, err)
			case pause(ctx, wait) != nil:
				return out, context.Cause(ctx)
			}
			wait = min(2*wait, backoffMax)
		}
	}
}

func askOnce[In, Out any](ctx context.Context, lookup func(context.Context, In) (Out, error), v In, timeout time.Duration) (Out, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return lookup(ctx, v)
}

// pause waits for d, or for the end of ctx, which is an error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
