package state

// Reducing is a value per key into which others are folded: Flink's ReducingState.
// Its methods are about the key that the store was last set to. One goroutine uses it.
type Reducing[T any] struct {
	Value[T]
	reduce func(a, b T) T
}

// NewReducing registers a reducing state; see NewValue. reduce folds b into a.
func NewReducing[T any](s Store, name string, reduce func(a, b T) T, opts ...Option) (*Reducing[T], error) {
	v, err := newValue[T](s, name, "reducing", opts)
	if err != nil {
		return nil, err
	}
	return &Reducing[T]{*v, reduce}, nil
}

// Add folds v into the key's value, or makes it the value if there is none.
func (r *Reducing[T]) Add(v T) error {
	return r.Update(func(to *T, existed bool) {
		if existed {
			v = r.reduce(*to, v)
		}
		*to = v
	})
}

// Aggregate folds values of type In into one accumulator, so that it costs the
// same however many they are. Acc is state: it needs a codec.
type Aggregate[In, Acc, Out any] struct {
	Init   func() Acc
	Add    func(Acc, In) Acc
	Result func(Acc) Out
	// Merge joins two accumulators, where something needs it; it may be nil.
	Merge func(a, b Acc) Acc
}

// Aggregating is an accumulator per key: Flink's AggregatingState. Its methods are
// about the key that the store was last set to. One goroutine uses it.
type Aggregating[In, Acc, Out any] struct {
	acc *Value[Acc]
	agg Aggregate[In, Acc, Out]
}

// NewAggregating registers an aggregating state; see NewValue.
func NewAggregating[In, Acc, Out any](s Store, name string, agg Aggregate[In, Acc, Out], opts ...Option) (*Aggregating[In, Acc, Out], error) {
	v, err := newValue[Acc](s, name, "aggregating", opts)
	if err != nil {
		return nil, err
	}
	return &Aggregating[In, Acc, Out]{v, agg}, nil
}

// Add folds v into the key's accumulator.
func (a *Aggregating[In, Acc, Out]) Add(v In) error {
	return a.acc.Update(func(acc *Acc, existed bool) {
		if !existed {
			*acc = a.agg.Init()
		}
		*acc = a.agg.Add(*acc, v)
	})
}

// Get returns the result of the key's accumulator; ok is false, and out zero, if it
// has none.
func (a *Aggregating[In, Acc, Out]) Get() (out Out, ok bool, err error) {
	acc, ok, err := a.acc.Get()
	if !ok || err != nil {
		return out, false, err
	}
	return a.agg.Result(acc), true, nil
}

// Clear removes the key's accumulator.
func (a *Aggregating[In, Acc, Out]) Clear() { a.acc.Clear() }

// In chooses the namespace; see Value.In.
func (a *Aggregating[In, Acc, Out]) In(namespace []byte) { a.acc.In(namespace) }

// Handle is the state's number in the store, for Prefetch.
func (a *Aggregating[In, Acc, Out]) Handle() Handle { return a.acc.Handle() }
