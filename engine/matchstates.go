package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/memory"
)

// learned is what opening an operator has told of the states that it keeps.
type learned struct {
	keyed    []state.Definition // in the order of their registration
	operator []state.Registered // by name
	err      error              // it could not be opened
}

// states matches what an operator keeps, by key and otherwise.
func (w *matcher) states(m *OperatorMatch, o dataflow.Operator, code Operator, was *restored) {
	old := was.described()
	if w.opt.Closed {
		for _, s := range old {
			s.Outcome = Unknown
			m.States = append(m.States, s)
		}
		return
	}
	l := w.open(o, code, was)
	if l.err != nil {
		w.notOpened(m, l.err)
	}
	now := map[string]bool{}
	for _, d := range l.keyed {
		now[d.Name] = true
		m.States = append(m.States, w.keyedState(o.UID, old, d))
	}
	for _, r := range l.operator {
		now[r.Name] = true
		m.States = append(m.States, operatorState(old, r))
	}
	for _, s := range old {
		if now[s.Name] || m.Outcome == Incompatible || !code.keyed() && !isOperatorKind(s.Kind) {
			continue // misplaced has told
		}
		s.Outcome, s.Why = Kept, "the operator did not ask for it when it was opened: it stays as it is"
		if l.err != nil {
			s.Outcome, s.Why = Unknown, "not known before the operator runs"
		}
		m.States = append(m.States, s)
	}
}

// notOpened tells state that does not fit, which opening shows, from an operator that needs
// what is not here.
func (w *matcher) notOpened(m *OperatorMatch, err error) {
	if errors.Is(err, state.ErrIncompatible) {
		w.incompatible(m, err)
		return
	}
	m.Why = "what it keeps is not known before it runs: " + err.Error()
}

// keyedState matches a state of today with those that the checkpoint has.
func (w *matcher) keyedState(uid dataflow.UID, old []StateMatch, d state.Definition) StateMatch {
	s := StateMatch{Name: d.Name, Kind: d.Kind, Now: d.Schema, Outcome: New}
	i := slices.IndexFunc(old, func(s StateMatch) bool { return s.Name == d.Name && !isOperatorKind(s.Kind) })
	if i < 0 {
		return s
	}
	s.Was, s.Outcome = old[i].Was, Restored
	if err := state.Fits(state.Definition{Name: d.Name, Kind: old[i].Kind, Schema: old[i].Was}, d); err != nil {
		s.Outcome, s.Why = Incompatible, err.Error()
		w.refuse(&OperatorError{UID: uid, Err: err})
	}
	return s
}

// operatorState matches operator state of today. One that does not fit is told by the
// opening, which converts the items.
func operatorState(old []StateMatch, r state.Registered) StateMatch {
	s := StateMatch{Name: r.Name, Kind: r.Kind, Now: r.Schema, Outcome: New}
	if i := slices.IndexFunc(old, func(s StateMatch) bool { return s.Name == r.Name && isOperatorKind(s.Kind) }); i >= 0 {
		s.Was, s.Outcome = old[i].Was, Restored
	}
	if r.Err != nil {
		s.Outcome, s.Why = Incompatible, r.Err.Error()
	}
	return s
}

// open opens an operator as subtask 0, on an empty store and on the checkpoint's operator
// state, and closes it.
func (w *matcher) open(o dataflow.Operator, code Operator, was *restored) (l learned) {
	op := &OpContext{
		Env: connector.Env{
			Job: dataflow.JobID(w.program.Graph.Name), Attempt: 1, UID: o.UID, Parallelism: o.Parallelism,
			OpenBucket: w.opt.OpenBucket, Log: w.opt.Log.With("uid", o.UID),
		},
		KeyGroups: w.GroupsNow, BatchRows: w.program.Graph.Options.WithDefaults().BatchRows,
		RestoredWatermark: connector.NoTime, stats: newCounters(),
	}
	var store *recordingStore
	if code.keyed() {
		if store, l.err = newRecordingStore(w.GroupsNow); l.err != nil {
			return l
		}
		op.Store = store
	}
	n := code.node()
	l.err = guard(func() error {
		return n.open(context.Background(), &opening{
			op: op, position: &position{}, restored: was.together(), trace: func(TraceEvent) {}, wake: func() {},
		})
	})
	l.err = errors.Join(l.err, guard(n.close))
	if store != nil {
		l.keyed = store.registered
	}
	if op.States != nil {
		l.operator = op.States.Registered()
	}
	return l
}

// recordingStore is an empty store that remembers what is registered with it.
type recordingStore struct {
	state.Store
	registered []state.Definition
}

func newRecordingStore(groups int) (*recordingStore, error) {
	s, err := memory.Open(memory.Config{GroupHi: groups - 1})
	if err != nil {
		return nil, fmt.Errorf("open an empty store: %w", err)
	}
	return &recordingStore{Store: s}, nil
}

// Register implements state.Store.
func (s *recordingStore) Register(d state.Definition) (state.Handle, error) {
	h, err := s.Store.Register(d)
	if err == nil && !slices.ContainsFunc(s.registered, func(r state.Definition) bool { return r.Name == d.Name }) {
		s.registered = append(s.registered, d)
	}
	return h, err
}

// Unwrap returns the store itself, as keyedStore has it.
func (s *recordingStore) Unwrap() state.Store { return s.Store }

// together is the checkpoint's operator state as one subtask's, so that one opening meets all
// of it: another subtask may hold the items that do not fit.
func (r *restored) together() *restored {
	if r == nil {
		return nil
	}
	one := snapshot.Operator{Lists: map[string][][]byte{}, Unions: map[string][][]byte{}, Broadcast: map[string][][]byte{}, Schemas: map[string]string{}}
	for _, o := range r.parts {
		for name, items := range o.Lists {
			one.Lists[name] = append(one.Lists[name], items...)
		}
		for name, items := range o.Unions {
			one.Unions[name] = append(one.Unions[name], items...)
		}
		for name, items := range o.Broadcast {
			one.Broadcast[name] = items
		}
		for name, schema := range o.Schemas {
			one.Schemas[name] = schema
		}
	}
	return &restored{checkpoint: r.checkpoint, known: r.known, parts: []snapshot.Operator{one}}
}

// described are the states that a checkpoint has of an operator; r may be nil.
func (r *restored) described() []StateMatch {
	var all []StateMatch
	add := func(s StateMatch) {
		if !slices.ContainsFunc(all, func(t StateMatch) bool { return t.Name == s.Name && t.Kind == s.Kind }) {
			all = append(all, s)
		}
	}
	if r == nil {
		return nil
	}
	for _, o := range r.parts {
		if o.Keyed != nil {
			for _, s := range o.Keyed.States {
				add(StateMatch{Name: s.Name, Kind: s.Kind, Was: s.Schema, Outcome: Dropped})
			}
		}
	}
	for _, o := range r.parts {
		for _, s := range state.Described(o) {
			if !slices.Contains(ownLists, s.Name) {
				add(StateMatch{Name: s.Name, Kind: s.Kind, Was: s.Schema, Outcome: Dropped})
			}
		}
	}
	h := r.held()
	if h.splits {
		add(StateMatch{Name: splitsList, Kind: kindPositions, Outcome: Dropped})
	}
	if h.transactions {
		add(StateMatch{Name: "prepared", Kind: kindTransactions, Outcome: Dropped})
	}
	return all
}

func isOperatorKind(kind string) bool {
	return kind == kindPositions || kind == kindTransactions || slices.Contains(state.OperatorKinds(), kind)
}
