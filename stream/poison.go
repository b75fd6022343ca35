package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// Poison is a record that an operator's code failed at. Its event time is the record's.
type Poison struct {
	UID    string // of the operator
	Key    string // the record's, printed; empty if the operator's records have none
	Error  string
	Stack  string // of a panic, from the call that panicked on; at most 4 KiB
	Record string // as JSON, at most 4 KiB
}

// poisonBytesMax bounds the texts of a Poison: it is for people, and a job may
// have many.
const poisonBytesMax = 4 << 10

// PoisonTo makes an operator go on after a record that its code returns an error for
// or panics at: the record goes to *to as a Poison, and is counted as a bad
// record. What the code changed in state and emitted before it failed stays. Without
// PoisonTo such a record ends the attempt, and the job restarts and finds it again.
//
// Only the author's code for one record counts: an error of a timer, of state that
// can't be read, or in an operator further down is none of it. Nor is one of a
// broadcast record, which all subtasks get.
//
// Map, TryMap, Filter, FlatMap, TryFlatMap, Process, Apply, Async, CoProcess and
// WithBroadcast take it.
func PoisonTo(to *Stream[Poison]) Option {
	return func(s *settings) {
		s.poison = to
		s.unused = append(s.unused, "PoisonTo")
	}
}

// connectPoison makes the stream of an operator's poison.
func (s *settings) connectPoison(p *Pipeline, o dataflow.Operator) {
	s.use("PoisonTo")
	if s.poison != nil {
		*s.poison = newStream[Poison](p, o, poisonOutput)
	}
}

// poisons sets records aside that the code of an operator fails at, in one subtask.
type poisons[In any] struct {
	ctx    *engine.OpContext
	out    *engine.Output[Poison]
	logged int
}

// poisonLogged is how many records of a subtask are logged; all are counted.
const poisonLogged = 10

// newPoisons returns nil if nobody asked for them.
func newPoisons[In any](ctx *engine.OpContext, set *settings) *poisons[In] {
	if set.poison == nil {
		return nil
	}
	return &poisons[In]{ctx: ctx, out: engine.OutputOf[Poison](ctx, poisonOutput)}
}

// each calls one for every record of a batch and goes on behind those that it fails at.
func (p *poisons[In]) each(b *engine.Batch[In], one func(b *engine.Batch[In], i int) error) error {
	for from := 0; from < len(b.Values); from++ {
		var err error
		if from, err = p.some(b, from, one); err == nil {
			return nil
		}
		if err := p.add(b.Values[from], b.Times[from], err); err != nil {
			return err
		}
	}
	return nil
}

// some calls one until it fails, and tells at which record.
//
// A panic is the operator's only if no operator chained to it was at work; else it
// goes on to where it belongs.
func (p *poisons[In]) some(b *engine.Batch[In], i int, one func(b *engine.Batch[In], i int) error) (at int, err error) {
	defer func() {
		at = i
		if !p.ctx.AtWork() {
			return
		}
		if r := recover(); r != nil {
			err = engine.NewPanicError(r)
		}
	}()
	for ; i < len(b.Values); i++ {
		if err := one(b, i); err != nil {
			return i, err
		}
	}
	return i, nil
}

// wrap returns f with poison set aside. f gets batches of one record.
func (p *poisons[In]) wrap(f engine.TransformFunc[In]) engine.TransformFunc[In] {
	if p == nil {
		return f
	}
	var single engine.Batch[In] // kept, since it escapes
	one := func(b *engine.Batch[In], i int) error {
		single.Values, single.Times = b.Values[i:i+1], b.Times[i:i+1]
		return f(&single)
	}
	return func(b *engine.Batch[In]) error { return p.each(b, one) }
}

// add sets a record aside, or returns an error that is not the record's.
func (p *poisons[In]) add(v In, time int64, err error) error {
	if errors.Is(err, state.ErrCorrupt) {
		return err
	}
	bad := Poison{UID: string(p.ctx.UID), Error: message(err), Record: printed(v)}
	if p.ctx.CurrentKey != nil {
		bad.Key = p.ctx.CurrentKey()
	}
	if panicked := (*engine.PanicError)(nil); errors.As(err, &panicked) {
		bad.Stack = bounded(string(panicked.Stack))
	}
	if p.logged < poisonLogged {
		p.logged++
		p.ctx.Log.Warn("poison record", "key", bad.Key, "error", bad.Error)
	}
	p.ctx.CountBad(1)
	p.out.Emit(bad, time)
	return nil
}

// message is an error's text. It goes through fmt since that survives a nil pointer in
// an error, which is a common mistake.
func message(err error) string { return bounded(fmt.Sprint(err)) }

// printed is a record as JSON, or as Go prints it if it can not be that: a record that
// code fails at may well have a MarshalJSON that panics at it.
func printed(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = bounded(fmt.Sprintf("%+v", v))
		}
	}()
	data, err := json.Marshal(v)
	if err != nil {
		return bounded(fmt.Sprintf("%+v", v))
	}
	return bounded(string(data))
}

// bounded cuts a text to poisonBytesMax, between two characters.
func bounded(s string) string {
	if len(s) <= poisonBytesMax {
		return s
	}
	end := poisonBytesMax
	for end > poisonBytesMax-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
