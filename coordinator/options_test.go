package coordinator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// moment is an event at a second and what it must lead to.
type moment struct {
	at   float64
	e    Event
	want string // actions, with a semicolon between two
	next float64
}

// none is the next tick of a state that needs none; whenever is not looked at.
const (
	none     = -1
	whenever = -2
)

// TestEachOption is a table for each option of checkpoints, with Flink's semantics
// (CheckpointCoordinator, CheckpointRequestDecider, CheckpointFailureManager), or
// with the difference that docs/design/0009 tells. Time is what the table says.
func TestEachOption(t *testing.T) {
	const s = time.Second
	vol := func(records, bytes int64, backlog bool) Volume { return Volume{"a", records, bytes, backlog} }
	began := func(id int) Began { return Began{dataflow.CheckpointID(id), Periodic} }
	done := func(id int) []moment { // acknowledged by both and completed, at once
		n := dataflow.CheckpointID(id)
		return []moment{{-1, ackOf(n, "a"), "", whenever}, {-1, ackOf(n, "b"), fmt.Sprintf("complete %d a,b", id), whenever}, {-1, Completed{n}, "", whenever}}
	}
	for name, c := range map[string]struct {
		options func(*dataflow.Options)
		moments [][]moment
	}{
		"interval: fixed rate; what comes late moves no later one": {nil, [][]moment{
			{{0, ab, "", 10}, {10.5, tick, "begin periodic", none}, {10.5, began(1), "trigger 1", whenever}}, done(1),
			{{20, tick, "begin periodic", none}},
		}},
		"interval: none": {func(o *dataflow.Options) { o.CheckpointInterval = -1 }, [][]moment{
			{{0, ab, "", none}, {1e6, tick, "", none}, {1e6, Requested{"k"}, "begin manual k", none}},
		}},
		"interval_during_backlog: the next trigger stays, those after it are longer; its end moves it forward": {
			func(o *dataflow.Options) { o.Checkpoint.IntervalDuringBacklog = 100 * s }, [][]moment{
				{{0, ab, "", 10}, {3, vol(1, 1, true), "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", whenever}}, done(1),
				{{12, tick, "", 110}, {40, vol(2, 2, false), "", 50}, {50, tick, "begin periodic", none}, {50, began(2), "trigger 2", whenever}}, done(2),
				{{51, tick, "", 60}},
			}},
		"interval_during_backlog: any one source is enough": {func(o *dataflow.Options) { o.Checkpoint.IntervalDuringBacklog = 100 * s }, [][]moment{
			{{0, ab, "", 10}, {1, vol(1, 1, true), "", 10}, {2, Volume{"b", 1, 1, false}, "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", whenever}}, done(1),
			{{11, tick, "", 110}, {12, Volume{"b", 2, 1, true}, "", 110}, {13, vol(2, 1, false), "", 110}, {14, Volume{"b", 3, 1, false}, "", 24}},
		}},
		"interval_during_backlog: an end that moves nothing forward": {func(o *dataflow.Options) { o.Checkpoint.IntervalDuringBacklog = 11 * s }, [][]moment{
			{{0, ab, "", 10}, {9, vol(1, 1, true), "", 10}, {9.5, vol(2, 2, false), "", 10}},
		}},
		"interval_during_backlog: none": {func(o *dataflow.Options) { o.Checkpoint.IntervalDuringBacklog = -1 }, [][]moment{
			{{0, ab, "", 10}, {3, vol(1, 1, true), "", none}, {99, tick, "", none}, {100, vol(2, 2, false), "", 110}, {110, tick, "begin periodic", none}},
		}},
		"every_records: what comes first, volume": {func(o *dataflow.Options) { o.Checkpoint.EveryRecords = 100 }, [][]moment{
			{{0, ab, "", 10}, {1, vol(99, 1, false), "", 10}, {2, Volume{"b", 1, 1, false}, "begin volume", none}, {2, Began{1, ByVolume}, "trigger 1", whenever}}, done(1),
			{{3, tick, "", 12}, {4, vol(198, 1, false), "", 12}, {5, vol(199, 1, false), "begin volume", none}},
		}},
		"every_records: what comes first, clock; both count from there": {func(o *dataflow.Options) { o.Checkpoint.EveryRecords = 100 }, [][]moment{
			{{0, ab, "", 10}, {9, vol(99, 1, false), "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", whenever}}, done(1),
			{{11, vol(198, 1, false), "", 20}, {12, vol(199, 1, false), "begin volume", none}},
		}},
		"every_bytes, without a clock": {func(o *dataflow.Options) { o.CheckpointInterval, o.Checkpoint.EveryBytes = -1, 1000 }, [][]moment{
			{{0, ab, "", none}, {500, vol(1, 999, false), "", none}, {501, vol(2, 1000, false), "begin volume", none}, {501, Began{1, ByVolume}, "trigger 1", whenever}}, done(1),
			{{502, vol(2, 900, false), "", none}, {503, vol(3, 1999, false), "", none}, {504, vol(4, 2000, false), "begin volume", none}},
		}},
		"every_bytes: what is read while one is in flight is for the next": {func(o *dataflow.Options) { o.CheckpointInterval, o.Checkpoint.EveryBytes = -1, 1000 }, [][]moment{
			{{0, ab, "", none}, {1, vol(1, 1000, false), "begin volume", none}, {1, Began{1, ByVolume}, "trigger 1", whenever}, {2, vol(1, 2100, false), "", whenever},
				{3, ackOf(1, "a"), "", whenever}, {3, ackOf(1, "b"), "complete 1 a,b", whenever}, {3, Completed{1}, "begin volume", none}},
		}},
		"min_pause: after the end of the last; people do not wait": {func(o *dataflow.Options) { o.MinPause = 6 * s }, [][]moment{
			{{0, ab, "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", whenever}, {18, ackOf(1, "a"), "", whenever}, {18, ackOf(1, "b"), "complete 1 a,b", whenever}, {18, Completed{1}, "", 24},
				{19, Requested{"k"}, "begin manual k", none}, {19, Began{2, Manual}, "trigger 2", whenever}}, done(2),
			{{20, tick, "", 25}, {25, tick, "begin periodic", none}},
		}},
		"min_pause: volume waits too": {func(o *dataflow.Options) { o.MinPause, o.Checkpoint.EveryRecords = 6*s, 10 }, [][]moment{
			{{0, ab, "", 10}, {1, vol(10, 1, false), "", 6}, {6, tick, "begin volume", none}, {6, Began{1, ByVolume}, "trigger 1", whenever}}, done(1),
			{{8, vol(20, 1, false), "", 12}, {12, tick, "begin volume", none}},
		}},
		"min_pause: longer than the interval, it is the interval": {func(o *dataflow.Options) { o.MinPause = 15 * s }, [][]moment{{{0, ab, "", 15}}}},
		"max_concurrent: 2": {func(o *dataflow.Options) { o.Checkpoint.MaxConcurrent = 2 }, [][]moment{
			{{0, ab, "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", 20},
				{20, tick, "trigger 1;begin periodic", 30}, {20, began(2), "trigger 2", 30},
				{25, Requested{"k"}, "", 30}, {26, ackOf(2, "a"), "", whenever}, {26, ackOf(2, "b"), "complete 2 a,b", whenever},
				{27, Completed{2}, "begin manual k", none}, {27, ackOf(1, "a"), "late 1 a", none}},
		}},
		"timeout: expires, is aborted, and the next begins": {nil, [][]moment{
			{{0, ab, "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", 20}, {69.9, tick, "trigger 1", 70}, {70, tick, "abort 1 #1", none}, {70, Aborted{1}, "begin periodic", none}},
		}},
		"tolerable_failures: 0": {func(o *dataflow.Options) { o.TolerableFailures = 0 }, [][]moment{
			{{0, ab, "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", 20}, {11, Decline{ID: 1, Process: "a", Reason: "x"}, "abort 1 #1;fail job", none}},
		}},
		"tolerable_failures: which count: finalize does, the store and a savepoint's do not, and success begins anew": {
			func(o *dataflow.Options) { o.CheckpointInterval, o.TolerableFailures = -1, 1 }, [][]moment{
				{{0, ab, "", none}, {1, Requested{"a"}, "begin manual a", none}, {1, began(1), "trigger 1", 11}, {1, Decline{ID: 1, Process: "a", Reason: "x"}, "abort 1 #1", none}, {1, Aborted{1}, "", none},
					{2, Requested{"b"}, "begin manual b", none}, {2, began(2), "trigger 2", 12}, {2, Decline{ID: 2, Process: "a", Reason: "x", Store: true}, "abort 2 #1", none}, {2, Aborted{2}, "", none},
					{3, RequestedSavepoint{"c", SavepointWish{}}, "begin savepoint c", none}, {3, Began{3, Savepoint}, "trigger 3 savepoint", 13}, {3, Decline{ID: 3, Process: "a", Reason: "x"}, "abort 3 #1", none}, {3, Aborted{3}, "", none},
					{4, Requested{"d"}, "begin manual d", none}, {4, began(4), "trigger 4", 14}}, done(4),
				{{5, Requested{"e"}, "begin manual e", none}, {5, began(5), "trigger 5", 15}, {5, ackOf(5, "a"), "", whenever}, {5, ackOf(5, "b"), "complete 5 a,b", whenever}, {5, CompleteFailed{ID: 5, Reason: "x"}, "abort 5 #1", none}, {5, Aborted{5}, "", none},
					{6, Requested{"f"}, "begin manual f", none}, {6, began(6), "trigger 6", 16}, {6, Decline{ID: 6, Process: "b", Reason: "x"}, "abort 6 #2;fail job", none}},
			}},
		"max_age: fails when none completes for so long, and no failure counts": {
			func(o *dataflow.Options) { o.TolerableFailures, o.Checkpoint.MaxAge = 0, 25*s }, [][]moment{
				{{0, ab, "", 10}, {10, tick, "begin periodic", 25}, {10, began(1), "trigger 1", 20}, {11, Decline{ID: 1, Process: "a", Reason: "x"}, "abort 1 #1", 25}, {11, Aborted{1}, "", 20},
					{20, tick, "begin periodic", 25}, {20, began(2), "trigger 2", 25}, {21, Decline{ID: 2, Process: "a", Reason: "x"}, "abort 2 #2", 25}, {21, Aborted{2}, "", 25}, {25, tick, "fail job", none}},
			}},
		"max_age: counts from the last completion, but not a savepoint's": {
			func(o *dataflow.Options) { o.CheckpointInterval, o.Checkpoint.MaxAge = 20*s, 25*s }, [][]moment{
				{{0, ab, "", 20}, {20, tick, "begin periodic", 25}, {20, began(1), "trigger 1", 25}}, done(1),
				{{21, tick, "", 40}, {30, RequestedSavepoint{"s", SavepointWish{}}, "begin savepoint s", 45}, {30, Began{2, Savepoint}, "trigger 2 savepoint", 40}}, done(2),
				{{40, tick, "begin periodic", 45}, {40, began(3), "trigger 3", 45}, {45, tick, "fail job", none}},
			}},
		"max_age: what is being completed is not too old yet": {
			func(o *dataflow.Options) { o.Checkpoint.MaxAge = 25 * s }, [][]moment{
				{{0, ab, "", 10}, {10, tick, "begin periodic", 25}, {10, began(1), "trigger 1", 20}, {24, ackOf(1, "a"), "trigger 1", whenever}, {24, ackOf(1, "b"), "complete 1 a,b", none}, {40, Completed{1}, "begin periodic", 65}},
			}},
		"max_age: a store that is away": {
			func(o *dataflow.Options) { o.Checkpoint.MaxAge = 25 * s }, [][]moment{
				{{0, ab, "", 10}, {10, tick, "begin periodic", 25}, {10, began(1), "trigger 1", 20}, {12, Lagging{"a", true}, "", 20}, {100, Lagging{"a", false}, "abort 1 #1", 125}},
			}},
		"max_age: a store that does not take a checkpoint": {
			func(o *dataflow.Options) { o.CheckpointInterval, o.Checkpoint.MaxAge = 20*s, 25*s }, [][]moment{
				{{0, ab, "", 20}, {20, tick, "begin periodic", 25}, {20, began(1), "trigger 1", 25}, {24, Decline{ID: 1, Process: "a", Reason: "x", Store: true}, "abort 1 #0", 49}},
			}},
		"max_age: not while a backlog takes none": {
			func(o *dataflow.Options) {
				o.Checkpoint.IntervalDuringBacklog, o.Checkpoint.MaxAge = -1, 25*s
			}, [][]moment{{{0, ab, "", 10}, {5, vol(1, 1, true), "", none}, {100, vol(2, 1, false), "", 110}, {110, tick, "begin periodic", 125}}}},
		"savepoints come before people, people before the clock; each savepoint by itself": {nil, [][]moment{
			{{0, ab, "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", 20},
				{11, Requested{"k"}, "", 20}, {12, RequestedSavepoint{"s", SavepointWish{}}, "", 20}, {12, RequestedSavepoint{"s", SavepointWish{}}, "", 20}, {13, RequestedSavepoint{"t", SavepointWish{Format: dataflow.Native}}, "", 20}, {14, Requested{"l"}, "", 20},
				{15, ackOf(1, "a"), "", whenever}, {15, ackOf(1, "b"), "complete 1 a,b", whenever}, {15, Completed{1}, "begin savepoint s", none}, {15, Began{2, Savepoint}, "trigger 2 savepoint", whenever},
				{21, ackOf(2, "a"), "", whenever}, {21, ackOf(2, "b"), "complete 2 a,b", whenever}, {21, Completed{2}, "begin savepoint t", none}, {21, BeginRefused{}, "", 22}, {22, tick, "begin manual k l", none}, {22, Began{3, Manual}, "trigger 3", whenever}},
			{{23, ackOf(3, "a"), "", whenever}, {23, ackOf(3, "b"), "complete 3 a,b", whenever}, {23, Completed{3}, "begin periodic", none}},
		}},
		"a savepoint that stops the job: nothing begins beside it; aborted, the rhythm goes on": {func(o *dataflow.Options) { o.Checkpoint.MaxConcurrent = 3 }, [][]moment{
			{{0, ab, "", 10}, {5, RequestedSavepoint{"s", SavepointWish{Stop: true}}, "begin savepoint s", none}, {5, Began{1, Savepoint}, "trigger 1 savepoint", 15}, {6, Requested{"k"}, "", 15},
				{14, tick, "", 15}, {14, Decline{ID: 1, Process: "a", Reason: "x"}, "abort 1 #0", none}, {14, Aborted{1}, "begin manual k", none}},
		}},
		"a draining savepoint that fails leaves nothing to go on with": {nil, [][]moment{
			{{0, ab, "", 10}, {5, RequestedSavepoint{"s", SavepointWish{Stop: true, Drain: true}}, "begin savepoint s", none}, {5, Began{1, Savepoint}, "trigger 1 savepoint", 15},
				{6, EndOfData{"a"}, "", 15}, {6, EndOfData{"b"}, "", 15}, {7, Decline{ID: 1, Process: "a", Reason: "x"}, "fail job", none}},
		}},
		"a savepoint waits until nothing is in flight, and nothing begins before it or beside it": {func(o *dataflow.Options) { o.Checkpoint.MaxConcurrent = 3 }, [][]moment{
			{{0, ab, "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", 20}, {11, RequestedSavepoint{"s", SavepointWish{}}, "", 20}, {12, Requested{"k"}, "", 20},
				{20, tick, "trigger 1", 30}, {21, ackOf(1, "a"), "", whenever}, {21, ackOf(1, "b"), "complete 1 a,b", whenever}, {21, Completed{1}, "begin savepoint s", none},
				{21, Began{2, Savepoint}, "trigger 2 savepoint", 31}}, done(2)[:2],
			{{22, Completed{2}, "begin manual k", none}},
		}},
		"changed: a shorter interval counts from the last trigger": {nil, [][]moment{
			{{0, ab, "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", whenever}}, done(1),
			{{11, changedTo(func(o *dataflow.Options) { o.CheckpointInterval = 4 * s }), "", 14}, {14, tick, "begin periodic", none}},
		}},
		"changed: a shorter interval that is over already triggers at once": {nil, [][]moment{
			{{0, ab, "", 10}, {7, changedTo(func(o *dataflow.Options) { o.CheckpointInterval = 5 * s }), "begin periodic", none}},
		}},
		"changed: a longer interval": {nil, [][]moment{
			{{0, ab, "", 10}, {7, changedTo(func(o *dataflow.Options) { o.CheckpointInterval = 60 * s }), "", 60}},
		}},
		"changed: from none to some and back": {func(o *dataflow.Options) { o.CheckpointInterval = -1 }, [][]moment{
			{{0, ab, "", none}, {100, changedTo(nil), "", 110}, {105, changedTo(func(o *dataflow.Options) { o.CheckpointInterval = -1 }), "", none}},
		}},
		"changed: what is in flight keeps its timeout": {nil, [][]moment{
			{{0, ab, "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", 20}, {11, changedTo(func(o *dataflow.Options) { o.CheckpointTimeout = 5 * s }), "", 20}, {69, tick, "trigger 1", 70}},
		}},
		"changed: fewer in flight than there are": {func(o *dataflow.Options) { o.Checkpoint.MaxConcurrent = 2 }, [][]moment{
			{{0, ab, "", 10}, {10, tick, "begin periodic", none}, {10, began(1), "trigger 1", 20}, {12, Requested{"k"}, "begin manual k", 20}, {12, Began{2, Manual}, "trigger 2", 20}, {13, changedTo(nil), "", 20}, {14, Requested{"l"}, "", 20},
				{15, ackOf(1, "a"), "", whenever}, {15, ackOf(1, "b"), "complete 1 a,b", whenever}, {15, Completed{1}, "", 22}},
		}},
		"changed: a max_age counts from the change": {nil, [][]moment{
			{{0, ab, "", 10}, {9, changedTo(func(o *dataflow.Options) { o.Checkpoint.MaxAge = 11 * s }), "", 10}, {10, tick, "begin periodic", 20}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			if c.options != nil {
				c.options(&o)
			}
			w, at := begin(t, o), 0.0
			for _, group := range c.moments {
				for _, m := range group {
					if m.at >= 0 {
						at = m.at
					}
					w.at(at, m.e, strings.FieldsFunc(m.want, func(r rune) bool { return r == ';' })...)
					if m.next != whenever {
						w.next(m.next)
					}
				}
			}
		})
	}
}

// changedTo are the table's options with a change.
func changedTo(change func(*dataflow.Options)) Reconfigured {
	o := options()
	if change != nil {
		change(&o)
	}
	return Reconfigured{o}
}
