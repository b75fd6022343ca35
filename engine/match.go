package engine

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// Outcome says what becomes of an operator, or of one of its states, at a restore.
type Outcome string

// The outcomes.
const (
	Restored Outcome = "restored" // the program has it, and it goes on
	New      Outcome = "new"      // the checkpoint has nothing of it: it begins empty
	// Kept is a state that the operator did not ask for when it was opened. It stays as it is,
	// and in the next checkpoints, for the operator to ask for while it runs.
	Kept Outcome = "kept"
	// Dropped is what the program has no place for. It is a refusal unless
	// MatchOptions.AllowNonRestored is set.
	Dropped      Outcome = "dropped"
	Incompatible Outcome = "incompatible" // a refusal: Why says what does not fit
	Unknown      Outcome = "unknown"      // not known before the operator runs
)

// Match is how a program and a checkpoint fit: what goes where, what is new, what would be
// lost, and why it can't be. It is plain data.
type Match struct {
	Checkpoint dataflow.CheckpointID `json:"checkpoint,omitempty"` // 0: none, all is new
	// KeyGroups are the checkpoint's and GroupsNow the program's; a restore needs equal ones.
	KeyGroups int `json:"key_groups,omitempty"`
	GroupsNow int `json:"key_groups_now"`
	// Operators are the program's in the order of its graph, then those that only the
	// checkpoint has, by uid.
	Operators []OperatorMatch `json:"operators"`
	// Refusals are why the checkpoint can't be restored, each a sentence; none: it can.
	Refusals []string `json:"refusals,omitempty"`
	// InFlight is that of the Refusals which an aligned checkpoint of the same job, such as a
	// savepoint, would not have: records are in flight on edges that the program has otherwise.
	InFlight string `json:"in_flight,omitempty"`

	refused refusals
}

// OperatorMatch is one operator's line.
type OperatorMatch struct {
	UID     dataflow.UID `json:"uid"`
	Name    string       `json:"name,omitempty"` // in the program
	Before  int          `json:"parallelism,omitempty"`
	Now     int          `json:"parallelism_now,omitempty"`
	Outcome Outcome      `json:"outcome"`
	Why     string       `json:"why,omitempty"`
	// Entries and Bytes are the keyed state's, as far as the checkpoint knows.
	Entries int64        `json:"entries,omitempty"`
	Bytes   int64        `json:"bytes,omitempty"`
	States  []StateMatch `json:"states,omitempty"`
}

// StateMatch is one state of an operator.
type StateMatch struct {
	Name    string  `json:"name"`
	Kind    string  `json:"kind"`
	Was     string  `json:"schema,omitempty"`     // in the checkpoint
	Now     string  `json:"schema_now,omitempty"` // in the program
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"`
}

// MatchOptions are choices about a match.
type MatchOptions struct {
	// AllowNonRestored lets go of the state that the program has no place for.
	AllowNonRestored bool
	// Closed leaves operators closed: what they keep is not learned, and their states are
	// unknown. A restore asks so, since it opens them for good a moment later, and what does
	// not fit is refused then in the same words.
	Closed bool
	// OpenBucket and Log are for operators that are opened; Log nil is silence.
	OpenBucket OpenBucket
	Log        *slog.Logger
}

// Kinds of what the engine itself keeps for operators, as StateMatch.Kind.
const (
	kindPositions    = "source positions"
	kindTransactions = "transactions"
)

// ErrNotRestorable is what Match.Refusal returns; the cause is ErrUnknownUID,
// state.ErrIncompatible or another one of a restore.
var ErrNotRestorable = errors.New("the program does not fit")

// refusals are several reasons in one line.
type refusals []error

// Error joins the reasons with semicolons: they become one reason in a table.
func (r refusals) Error() string {
	texts := make([]string, len(r))
	for i, err := range r {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the reasons.
func (r refusals) Unwrap() []error { return r }

// Is makes it ErrNotRestorable.
func (r refusals) Is(target error) bool { return target == ErrNotRestorable }

// Refusal is why the checkpoint can't be restored into the program, all reasons in one; nil
// if it can. On a match that was decoded it has the words and not the causes.
func (m *Match) Refusal() error {
	switch {
	case len(m.refused) > 0:
		return m.refused
	case len(m.Refusals) > 0:
		var said refusals
		for _, text := range m.Refusals {
			said = append(said, errors.New(text))
		}
		return said
	}
	return nil
}

func (m *Match) refuse(err error) {
	m.refused = append(m.refused, err)
	m.Refusals = append(m.Refusals, err.Error())
}

// MatchRestore tells what a restore of r would do with a program: it is what job plan, submit and the
// restore itself go by, so that all refuse in the same words. r nil is a start from the
// beginning.
//
// It reads no state. Unless opt.Closed is set it opens the operators, but no source and no sink,
// on an empty store to learn what they keep. The error is that of a program that can not run at all.
func MatchRestore(p *Program, r *Restore, opt MatchOptions) (*Match, error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	opt.Log = cmp.Or(opt.Log, slog.New(slog.DiscardHandler))
	m := &Match{GroupsNow: p.Graph.KeyGroups}
	w := &matcher{Match: m, opt: opt, program: p, ops: restoredOperators(r)}
	if r != nil {
		m.Checkpoint, m.KeyGroups = r.Checkpoint, r.KeyGroups
		w.checkGroups()
	}
	for _, o := range p.Graph.Operators {
		w.operator(o)
	}
	w.leftOver()
	if err := checkInFlight(p, r); err != nil {
		w.refuse(err)
		m.InFlight = err.Error()
	}
	return m, nil
}

// matcher makes a Match.
type matcher struct {
	*Match
	opt     MatchOptions
	program *Program
	ops     map[dataflow.UID]*restored
}

func (w *matcher) checkGroups() {
	if w.KeyGroups != 0 && w.KeyGroups != w.GroupsNow {
		w.refuse(fmt.Errorf("it has %d key groups and the program %d: they can not be changed", w.KeyGroups, w.GroupsNow))
	}
}

// operator matches an operator of the program.
func (w *matcher) operator(o dataflow.Operator) {
	was, code := w.ops[o.UID], w.program.Operators[o.UID]
	m := OperatorMatch{UID: o.UID, Name: o.Name, Now: o.Parallelism, Outcome: New}
	if was != nil {
		m.Outcome, m.Before = Restored, len(was.parts)
		m.Entries, m.Bytes = was.size()
		w.misplaced(&m, o, code, was)
	}
	if code.keyed() && was != nil {
		if err := was.checkKeys(code.keySchema()); err != nil {
			w.incompatible(&m, err)
		}
	}
	if o.Kind == dataflow.Transform {
		w.states(&m, o, code, was)
	}
	w.Operators = append(w.Operators, m)
}

// misplaced notes what a checkpoint has of an operator and the operator is not made for.
func (w *matcher) misplaced(m *OperatorMatch, o dataflow.Operator, code Operator, was *restored) {
	held := was.held()
	note := func(name, kind string, there, fits bool, why error) {
		if !there {
			return
		}
		s := StateMatch{Name: name, Kind: kind, Outcome: Restored}
		if !fits {
			s.Outcome, s.Why = Dropped, why.Error()
			w.lose(&OperatorError{UID: o.UID, Err: why})
		}
		m.States = append(m.States, s)
	}
	note(splitsList, kindPositions, held.splits, o.Kind == dataflow.Source, errNotSource)
	note("prepared", kindTransactions, held.transactions, committerOf(code) != nil, errNotTransactional)
	if !code.keyed() {
		note("all of it", "keyed", held.keyed, false, errNotKeyed)
	}
	if o.Kind != dataflow.Transform {
		note("all of it", "operator", held.operator, false, errNoOperatorState)
	}
}

// Why an operator has no place for state that its uid has in a checkpoint.
var (
	errNotSource       = fmt.Errorf("%w: it was a source, and is none any more: give it another uid", state.ErrIncompatible)
	errNotKeyed        = fmt.Errorf("%w: it kept state by key, and keeps none any more: give it another uid", state.ErrIncompatible)
	errNoOperatorState = fmt.Errorf("%w: it kept operator state, which a source or a sink has none of: give it another uid", state.ErrIncompatible)
)

// lose notes state that a restore would let go of, which is a refusal unless it is allowed.
func (w *matcher) lose(err error) {
	if !w.opt.AllowNonRestored {
		w.refuse(err)
	}
}

// incompatible notes that an operator as a whole does not fit.
func (w *matcher) incompatible(m *OperatorMatch, err error) {
	m.Outcome, m.Why = Incompatible, err.Error()
	w.refuse(&OperatorError{UID: m.UID, Err: err})
}

// leftOver notes the operators that only the checkpoint has.
func (w *matcher) leftOver() {
	var unknown []string
	for _, uid := range sortedUIDs(w.ops) {
		was := w.ops[uid]
		if w.program.Operators[uid] != nil {
			continue
		}
		m := OperatorMatch{UID: uid, Before: len(was.parts), Outcome: Dropped}
		m.Entries, m.Bytes = was.size()
		if was.holdsState() {
			m.Why = "the program has no operator of this uid"
			m.States = was.described()
			unknown = append(unknown, fmt.Sprintf("%q", uid))
		} else {
			m.Why = "the program has no operator of this uid, and nothing is lost: it held no state"
		}
		w.Operators = append(w.Operators, m)
	}
	if len(unknown) > 0 {
		w.lose(fmt.Errorf("%w: %s: give the operator its old uid again, or allow that its state is dropped (--allow-non-restored-state)",
			ErrUnknownUID, strings.Join(unknown, ", ")))
	}
}

func sortedUIDs(ops map[dataflow.UID]*restored) []dataflow.UID {
	var uids []dataflow.UID
	for uid := range ops {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return uids
}

// held tells what sorts of state a checkpoint has of an operator.
type held struct{ keyed, operator, splits, transactions bool }

func (r *restored) held() (h held) {
	for _, o := range r.parts {
		h.keyed = h.keyed || holdsKeyed(o)
		h.operator = h.operator || holdsOperatorState(o)
		h.splits = h.splits || len(o.Lists[splitsList]) > 0
		h.transactions = h.transactions || slices.ContainsFunc(o.Transactions, func(t snapshot.Transaction) bool { return t.Checkpoint > r.known })
	}
	return h
}

func (r *restored) holdsState() bool {
	h := r.held()
	return h.keyed || h.operator || h.splits || h.transactions
}

func holdsKeyed(o snapshot.Operator) bool {
	return o.Keyed != nil && (len(o.Keyed.Segments) > 0 || o.Keyed.Entries > 0)
}

// size is that of the keyed state.
func (r *restored) size() (entries, bytes int64) {
	for _, o := range r.parts {
		if o.Keyed != nil {
			entries, bytes = entries+o.Keyed.Entries, bytes+o.Keyed.Bytes
		}
	}
	return entries, bytes
}
