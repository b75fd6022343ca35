package stream

import (
	"cmp"
	"math"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/state"
)

// sessions is a Window of kind Session in one subtask. A key's latest session is a
// value, which a record changes where it lies; that is all in most cases. Older ones that are
// still open, or kept for late records, are in a map by their begin. Where a record does
// not just continue the latest one, session_merge.go rewrites the key's sessions.
//
// Invariant: no two sessions of a key touch. Each session's Due is at most its last
// millisecond, or that plus the lateness once it has given its result, and the agenda
// has its key at Due.
type sessions[K, In, Acc, Out any] struct {
	gap, lateness int64
	agg           Aggregate[In, Acc, Out]
	trigger       Trigger
	keys          *keyTracker[K, In]
	latest        *state.Value[sessionState[Acc]]
	older         *state.Map[int64, sessionState[Acc]] // by begin
	out           *engine.Output[WindowResult[K, Out]]
	late          *engine.Output[In]
	ctx           *engine.OpContext

	wm     int64
	behind []int64 // as in sliceWindow
	agenda state.Agenda
	rounds *rounds // nil if no results come by a clock
	all    []keptSession[Acc]

	// Records that are added together.
	batch    *engine.Batch[In]
	gathered state.Batch
	rows     []int32 // of each entry of gathered
	apart    []int32 // those that foldRow left
	foldRow  func(i int, s *sessionState[Acc], existed bool)

	// The record at hand, and what settle found for its session.
	record  In
	time    int64
	outcome outcome
	changed bool // the session has got its first record since its last result
	gives   bool // it gives a result now
	pane    Pane
	shown   sessionState[Acc] // the session, if it is scheduled or gives a result
	extend  func(s *sessionState[Acc], existed bool)
}

// sessionState is what is kept of a session.
type sessionState[Acc any] struct {
	Start, End int64 // End is gap after the last record
	Due        int64 // when the agenda has its key
	Pending    int32 // records since its last result; it stops at the highest
	Older      int32 // of the latest: how many others the key has
	Acc        Acc
}

// outcome is what came of a record that was tried on the latest session.
type outcome int

const (
	continued outcome = iota
	scheduled         // and the session's Due is new
	apart             // it does not belong to it, or not to it alone
)

func openSessions[K, In, Acc, Out any](ctx *engine.OpContext, kt *keyTracker[K, In], w Windows, agg Aggregate[In, Acc, Out], set *windowSettings) (engine.Transform[In], error) {
	latest, err := state.NewValue[sessionState[Acc]](ctx.Store, "session")
	if err != nil {
		return nil, err
	}
	older, err := state.NewMap[int64, sessionState[Acc]](ctx.Store, "older-sessions")
	if err = cmp.Or(err, keepCut(ctx, cutOf(w))); err != nil {
		return nil, err
	}
	s := &sessions[K, In, Acc, Out]{
		gap: w.size, lateness: set.lateness.Milliseconds(), agg: agg, trigger: set.trigger, keys: kt, latest: latest, older: older, ctx: ctx,
		wm: ctx.RestoredWatermark, behind: restoredWatermarks(ctx),
		out:  engine.OutputOf[WindowResult[K, Out]](ctx, 0),
		late: engine.OutputOf[In](ctx, lateOutput),
	}
	s.extend, s.foldRow = s.tryLatest, s.foldOne
	if s.trigger.periodic() {
		s.rounds = newRounds(s.trigger, ctx.Now())
	}
	return s, s.enroll()
}

// enroll builds the agenda, and what is due early, from the store.
func (w *sessions[K, In, Acc, Out]) enroll() error {
	enroll := func(group int, key []byte, s *sessionState[Acc]) error {
		w.agenda.Add(s.Due, group, key)
		if w.rounds != nil && s.Pending > 0 {
			w.rounds.add(w.ctx.Now(), group, key, 0)
		}
		return nil
	}
	err := w.latest.All(func(group int, key []byte, s sessionState[Acc]) error { return enroll(group, key, &s) })
	if err != nil {
		return err
	}
	return w.older.All(func(group int, key []byte, _ int64, s sessionState[Acc]) error { return enroll(group, key, &s) })
}

// Process takes records together, and those that are late or that can give a result
// at once one by one.
func (w *sessions[K, In, Acc, Out]) Process(b *engine.Batch[In]) error {
	w.batch = b
	for i, t := range b.Times {
		if t == NoTime {
			return ErrNoEventTime
		}
		if w.behind != nil {
			if err := w.addBehind(i); err != nil {
				return err
			}
			continue
		}
		if t+w.gap-1 > w.wm && w.trigger.kind != atCount {
			w.gather(i)
			continue
		}
		if err := w.fold(); err != nil {
			return err
		}
		if err := w.add(i); err != nil {
			return err
		}
	}
	return w.fold()
}

// gather puts record i of the batch down for fold.
func (w *sessions[K, In, Acc, Out]) gather(i int) {
	g := &w.gathered
	from := len(g.Bytes)
	g.Bytes = w.keys.append(g.Bytes, w.batch.Values[i])
	g.EndKey(w.keys.group(w.batch, i, g.Bytes[from:]))
	w.rows = append(w.rows, int32(i))
}

// fold adds the records that were gathered to their sessions. Those that do not just
// continue the latest session come last, which makes no difference to what sessions are in the end.
func (w *sessions[K, In, Acc, Out]) fold() error {
	if len(w.rows) == 0 {
		return nil
	}
	if err := w.latest.UpdateBatch(&w.gathered, w.foldRow); err != nil {
		return err
	}
	for _, at := range w.apart {
		w.record, w.time = w.batch.Values[at], w.batch.Times[at]
		if err := w.rewrite(w.keys.set(w.batch, int(at))); err != nil {
			return err
		}
	}
	w.gathered.Reset()
	w.rows, w.apart = w.rows[:0], w.apart[:0]
	return nil
}

// foldOne adds a record that was gathered. It gives no result: the session that it is in
// ends after the watermark, since it would do so alone.
func (w *sessions[K, In, Acc, Out]) foldOne(i int, s *sessionState[Acc], existed bool) {
	at := w.rows[i]
	w.record, w.time = w.batch.Values[at], w.batch.Times[at]
	w.tryLatest(s, existed)
	if w.outcome == apart {
		w.apart = append(w.apart, at)
		return
	}
	if w.outcome == scheduled || w.changed && w.rounds != nil {
		group, key, _ := w.gathered.Entry(i)
		w.schedule(group, key)
	}
}

// addBehind is add before the first watermark after a restore: as in sliceWindow.
func (w *sessions[K, In, Acc, Out]) addBehind(i int) error {
	w.keys.set(w.batch, i)
	group, _ := w.keys.store.Key()
	wm := w.wm
	w.wm = w.behind[group]
	err := w.add(i)
	w.wm = wm
	return err
}

// add takes record i of the batch into the sessions of its key.
func (w *sessions[K, In, Acc, Out]) add(i int) error {
	w.record, w.time = w.batch.Values[i], w.batch.Times[i]
	key := w.keys.set(w.batch, i)
	if last := w.time + w.gap - 1; last <= w.wm && last <= w.wm-w.lateness {
		return w.addLate(key)
	}
	if err := w.latest.Update(w.extend); err != nil {
		return err
	}
	if w.outcome == apart {
		return w.rewrite(key)
	}
	w.follow(key)
	return nil
}

// tryLatest adds the record to the latest session, if it can only be in that one, or
// makes it if there is none.
func (w *sessions[K, In, Acc, Out]) tryLatest(s *sessionState[Acc], existed bool) {
	switch {
	case !existed:
		*s = w.newSession()
	case w.time >= s.End || w.time < s.Start && (s.Older > 0 || w.time+w.gap <= s.Start):
		w.outcome = apart
		return
	default:
		w.join(s)
	}
	w.settle(s)
}

// newSession is a session of the record alone, not yet on the agenda.
func (w *sessions[K, In, Acc, Out]) newSession() sessionState[Acc] {
	return sessionState[Acc]{
		Start: w.time, End: w.time + w.gap, Due: math.MaxInt64, Pending: 1, Acc: w.agg.Add(w.agg.Init(), w.record),
	}
}

// join adds the record to a session that it touches.
func (w *sessions[K, In, Acc, Out]) join(s *sessionState[Acc]) {
	s.Start, s.End = min(s.Start, w.time), max(s.End, w.time+w.gap)
	s.Pending = max(s.Pending, s.Pending+1)
	s.Acc = w.agg.Add(s.Acc, w.record)
}

// settle finds out what follows from the record for the session that has got it: it may
// come back to life, and it may give a result.
func (w *sessions[K, In, Acc, Out]) settle(s *sessionState[Acc]) {
	last := s.End - 1
	ended := last <= w.wm
	w.outcome, w.changed = continued, s.Pending == 1 && !ended
	w.gives = ended || w.trigger.kind == atCount && int64(s.Pending) >= w.trigger.n
	switch {
	case s.Due == math.MaxInt64 && ended:
		w.outcome, s.Due = scheduled, last+w.lateness
	case s.Due > last && !ended:
		w.outcome, s.Due = scheduled, last
	}
	if w.outcome == scheduled || w.gives {
		w.shown = *s
	}
	if w.gives {
		w.pane = Early
		if ended {
			w.pane = Late
		}
		w.gave(s)
	}
}

// gave is for a session that has given a result.
func (w *sessions[K, In, Acc, Out]) gave(s *sessionState[Acc]) {
	s.Pending = 0
	if w.trigger.purge {
		s.Acc = w.agg.Init()
	}
}

// follow does what settle found, for the current key.
func (w *sessions[K, In, Acc, Out]) follow(key K) {
	w.schedule(w.keys.store.Key())
	if w.gives {
		w.emit(key, &w.shown, w.pane)
	}
}

// schedule sees to it that the session gives its results in time.
func (w *sessions[K, In, Acc, Out]) schedule(group int, key []byte) {
	if w.outcome == scheduled {
		w.agenda.Add(w.shown.Due, group, key)
	}
	if w.changed && w.rounds != nil {
		w.rounds.add(w.ctx.Now(), group, key, 0)
	}
}

// emit emits a result of a session.
func (w *sessions[K, In, Acc, Out]) emit(key K, s *sessionState[Acc], pane Pane) {
	w.out.Emit(WindowResult[K, Out]{Key: key, Start: s.Start, End: s.End, Value: w.agg.Result(s.Acc), Pane: pane}, s.End-1)
}
