package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// Value is one value of type T per key. See state.Value.
type Value[T any] = state.Value[T]

// MapOf is a map from K to V per key, in the order of K. See state.Map.
type MapOf[K, V any] = state.Map[K, V]

// ListOf is a list of values per key. See state.List.
type ListOf[T any] = state.List[T]

// Reducing is a value per key into which others are folded. See state.Reducing.
type Reducing[T any] = state.Reducing[T]

// Aggregating is an accumulator per key. See state.Aggregating.
type Aggregating[In, Acc, Out any] = state.Aggregating[In, Acc, Out]

// Aggregate folds values into one accumulator; Acc is state: it needs a codec.
// See state.Aggregate.
type Aggregate[In, Acc, Out any] = state.Aggregate[In, Acc, Out]

// Setup is what code gets when it is opened: where it runs, and its state.
type Setup struct {
	ctx    *engine.OpContext
	lives  *state.Lifetimes // nil without keyed state
	values []state.Handle   // of states with one value per key, which every record is likely to use
	sides  *settings        // with the side outputs; nil if the operator has none
	now    *int64           // the event time at hand, for side outputs
	err    error
}

func newSetup(ctx *engine.OpContext) *Setup {
	s := &Setup{ctx: ctx}
	if ctx.Store != nil {
		s.lives = state.NewLifetimes(ctx.Store, ctx.Now)
	}
	return s
}

// StateOption is a choice about one keyed state.
type StateOption func(*state.TTL)

// TTL makes the entries of a state expire when they have not been written for d of
// processing time: the value, an entry of a map, an element of a list. What has
// expired is never seen again, and is removed bit by bit as records come.
//
//	s.seen = stream.ValueState[int64](s, "seen", stream.TTL(24*time.Hour))
//
// An existing state may get a TTL, another one, or lose it; entries without a time
// count from the restart.
func TTL(d time.Duration) StateOption { return func(t *state.TTL) { t.After = d } }

// TTLOnRead is TTL for entries that have been neither written nor read for d. Each
// read then costs as much as a write.
func TTLOnRead(d time.Duration) StateOption {
	return func(t *state.TTL) { t.After, t.OnRead = d, true }
}

// ValueState declares a value per key. The name finds it again after a restart, so
// it must not change. T may: fields may come, go, grow wider, and be renamed with
// a tag, `cairn:"was=Old"`; after any other change the job refuses to start and names
// the field. A problem makes the opening fail; there is no need to check here.
//
//	func (c *counter) Open(s *stream.Setup) error {
//		c.n = stream.ValueState[int64](s, "n")
//		return nil
//	}
//	...
//	err := c.n.Update(func(n *int64, existed bool) { *n++ })
func ValueState[T any](s *Setup, name string, opts ...StateOption) *Value[T] {
	return declare(s, name, opts, func(o state.Option) (*Value[T], error) {
		return state.NewValue[T](s.ctx.Store, name, o)
	})
}

// MapState declares a map per key; see ValueState. K stays as it is.
//
//	c.perHour = stream.MapState[int64, Count](s, "per hour")
//	...
//	err := c.perHour.Put(hour, count)
//	err = c.perHour.Range(func(hour int64, n Count) bool { ctx.Emit(n); return true })
func MapState[K, V any](s *Setup, name string, opts ...StateOption) *MapOf[K, V] {
	return declare(s, name, opts, func(o state.Option) (*MapOf[K, V], error) {
		return state.NewMap[K, V](s.ctx.Store, name, o)
	})
}

// ListState declares a list per key; see ValueState.
//
//	c.waiting = stream.ListState[Order](s, "waiting")
//	...
//	err := c.waiting.Append(order)
//	all, err := c.waiting.All()
func ListState[T any](s *Setup, name string, opts ...StateOption) *ListOf[T] {
	return declare(s, name, opts, func(o state.Option) (*ListOf[T], error) {
		return state.NewList[T](s.ctx.Store, name, o)
	})
}

// ReducingState declares a value per key into which reduce folds what is added; see
// ValueState.
//
//	c.highest = stream.ReducingState(s, "highest", func(a, b int64) int64 { return max(a, b) })
//	...
//	err := c.highest.Add(price)
//	price, ok, err := c.highest.Get()
func ReducingState[T any](s *Setup, name string, reduce func(a, b T) T, opts ...StateOption) *Reducing[T] {
	return declare(s, name, opts, func(o state.Option) (*Reducing[T], error) {
		return state.NewReducing(s.ctx.Store, name, reduce, o)
	})
}

// AggregatingState declares an accumulator per key into which agg folds what is
// added; see ValueState. Merge is not needed.
//
//	c.mean = stream.AggregatingState(s, "mean", stream.Aggregate[float64, sum, float64]{...})
//	...
//	err := c.mean.Add(delay)
//	mean, ok, err := c.mean.Get()
func AggregatingState[In, Acc, Out any](s *Setup, name string, agg Aggregate[In, Acc, Out], opts ...StateOption) *Aggregating[In, Acc, Out] {
	return declare(s, name, opts, func(o state.Option) (*Aggregating[In, Acc, Out], error) {
		if agg.Init == nil || agg.Add == nil || agg.Result == nil {
			return nil, fmt.Errorf("aggregating state %q: an Aggregate needs Init, Add and Result", name)
		}
		return state.NewAggregating(s.ctx.Store, name, agg, o)
	})
}

var errNoKeys = errors.New("the operator's records have no keys: use Process")

// declare makes a keyed state, and notes what is wrong with it.
func declare[S any](s *Setup, name string, opts []StateOption, make func(state.Option) (*S, error)) *S {
	if s.ctx.Store == nil {
		s.fail(fmt.Errorf("state %q: %w", name, errNoKeys))
		return nil
	}
	var ttl state.TTL
	for _, set := range opts {
		set(&ttl)
	}
	if ttl.After < 0 {
		s.fail(fmt.Errorf("state %q: a TTL of %v: want a positive one", name, ttl.After))
	}
	made, err := make(state.WithTTL(s.lives, ttl))
	if v, ok := any(made).(oneValue); ok && err == nil {
		s.values = append(s.values, v.Handle())
	}
	s.fail(err)
	return made
}

// oneValue is a state with one value per key.
type oneValue interface{ Handle() state.Handle }

func (s *Setup) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Subtask is which subtask of the operator this is, from 0, of how many.
func (s *Setup) Subtask() (number, of int) { return s.ctx.Subtask, s.ctx.Parallelism }

// Log is for messages of this operator.
func (s *Setup) Log() *slog.Logger { return s.ctx.Log }
