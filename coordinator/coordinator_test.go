package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// world feeds a state and writes down what it wants, in short words.
type world struct {
	t     testing.TB
	state State
}

func begin(t testing.TB, o dataflow.Options) *world { return &world{t, New("job", o)} }

func options() dataflow.Options {
	return dataflow.Options{
		CheckpointInterval: 10 * time.Second, CheckpointTimeout: time.Minute, TolerableFailures: 2,
	}
}

// at feeds an event at a second and expects the actions.
func (w *world) at(seconds float64, e Event, want ...string) {
	w.t.Helper()
	next, actions := w.state.Step(time.Duration(seconds*float64(time.Second)), e)
	var got []string
	for _, a := range actions {
		got = append(got, word(a))
	}
	if !slices.Equal(got, want) {
		w.t.Fatalf("at %vs %T%v: got %q, want %q", seconds, e, e, got, want)
	}
	w.state = next
}

// next expects the time of the next tick; negative: none.
func (w *world) next(seconds float64) {
	w.t.Helper()
	at, ok := w.state.Next()
	if want := time.Duration(seconds * float64(time.Second)); ok != (seconds >= 0) || ok && at != want {
		w.t.Fatalf("next tick: got %v %v, want %v", at, ok, want)
	}
}

func word(a Action) string {
	switch a := a.(type) {
	case ProposeBegin:
		return strings.Join(append([]string{"begin", string(a.Trigger)}, a.Keys...), " ")
	case SendTrigger:
		if a.Savepoint != nil {
			return fmt.Sprint("trigger ", a.ID, " savepoint")
		}
		return fmt.Sprint("trigger ", a.ID)
	case Complete:
		var from []string
		for _, p := range a.Parts {
			from = append(from, string(p.Process))
		}
		return fmt.Sprint("complete ", a.ID, " ", strings.Join(from, ","))
	case ProposeAbort:
		return fmt.Sprint("abort ", a.ID, " #", a.FailuresInRow)
	case FailJob:
		return "fail job"
	case FinishJob:
		return "finish job"
	case RefuseRequest:
		return "refuse " + a.Key
	case ReportLate:
		return fmt.Sprint("late ", a.ID, " ", a.Process)
	}
	return fmt.Sprintf("%T", a)
}

var (
	ab   = Running{[]dataflow.Incarnation{"b", "a"}}
	tick = Tick{}
)

func ackOf(id dataflow.CheckpointID, p dataflow.Incarnation) Ack {
	return Ack{ID: id, Process: p, Part: &snapshot.Process{Process: p}}
}

// complete lets a checkpoint that was asked for complete at a second.
func (w *world) complete(seconds float64, id dataflow.CheckpointID, why Trigger) {
	w.t.Helper()
	w.at(seconds, Began{id, why}, fmt.Sprint("trigger ", id))
	w.at(seconds, ackOf(id, "a"))
	w.at(seconds, ackOf(id, "b"), fmt.Sprint("complete ", id, " a,b"))
	w.at(seconds, Completed{id})
}

func TestPeriodicIsFixedRate(t *testing.T) {
	w := begin(t, options())
	w.next(-1)
	w.at(5, tick)
	w.at(5, ab)
	w.next(15)
	w.at(14.9, tick)
	w.at(15.2, tick, "begin periodic") // late by 0.2
	w.next(-1)
	w.complete(16, 1, Periodic)
	w.next(25) // and yet the next is on the grid
	w.at(25, tick, "begin periodic")
	w.complete(26, 2, Periodic)
	w.at(58, tick, "begin periodic") // two were missed: they are not made up
	w.complete(59, 3, Periodic)
	w.next(65)
}

func TestOneAtATimeAndTheWaitingOneBeginsAtOnce(t *testing.T) {
	w := begin(t, options())
	w.at(0, ab)
	w.at(10, tick, "begin periodic")
	w.at(10, tick)
	w.at(10, Began{1, Periodic}, "trigger 1")
	w.at(10, Began{1, Periodic}) // twice
	w.at(19.9, tick)
	w.at(33, ackOf(1, "b"), "trigger 1") // for a
	w.at(33, ackOf(1, "b"))              // twice
	w.at(34, ackOf(1, "a"), "complete 1 a,b")
	w.at(34, ackOf(1, "a"))
	w.at(35, Completed{1}, "begin periodic")
	w.at(35, Completed{1})
	w.complete(36, 2, Periodic)
	w.next(40)
}

func TestMinPause(t *testing.T) {
	o := options()
	o.MinPause = 7 * time.Second
	w := begin(t, o)
	w.at(0, ab)
	w.at(10, tick, "begin periodic")
	w.complete(18, 1, Periodic)
	w.next(25)
	w.at(20, tick)
	w.at(21, Requested{"k"}, "begin manual k") // a person does not wait
	w.complete(22, 2, Manual)
	w.next(29)
	w.at(29, tick, "begin periodic")
	o.MinPause = 15 * time.Second // longer than the interval: it is the interval
	w = begin(t, o)
	w.at(0, ab)
	w.next(15)
}

func TestNoPeriodic(t *testing.T) {
	o := options()
	o.CheckpointInterval = -1
	w := begin(t, o)
	w.at(0, ab)
	w.next(-1)
	w.at(9999, tick)
	w.at(9999, Requested{"k"}, "begin manual k")
}

// TestLostMessagesAreRepeated: whether it was the trigger or the
// acknowledgement that was lost, the checkpoint does not wait for its timeout.
func TestLostMessagesAreRepeated(t *testing.T) {
	w := begin(t, options())
	w.at(0, ab)
	w.at(10, tick, "begin periodic")
	w.at(11, Began{1, Periodic}, "trigger 1")
	w.at(12, ackOf(1, "a"))
	w.next(21)
	w.at(21, tick, "trigger 1")
	w.next(31)
	w.at(31, ackOf(1, "a"), "trigger 1") // says it again
	w.at(32, ackOf(1, "b"), "complete 1 a,b")
	w.at(50, tick) // nothing is missing any more
}

func TestExpiry(t *testing.T) {
	w := begin(t, options())
	w.at(0, ab)
	w.at(10, tick, "begin periodic")
	w.at(11, Began{1, Periodic}, "trigger 1")
	w.at(12, ackOf(1, "a"))
	w.at(70.9, tick, "trigger 1") // again: see TestLostMessagesAreRepeated
	w.next(71)
	next, actions := w.state.Step(71*time.Second, tick)
	if a := actions[0].(ProposeAbort); a.Reason != "expired after 1m0s, not acknowledged by [b]" {
		t.Errorf("reason: %s", a.Reason)
	}
	w.state = next
	w.at(72, tick) // once
	w.at(72, ackOf(1, "b"))
	w.at(73, Aborted{1}, "begin periodic")
	w.at(73, ackOf(1, "b"), "late 1 b")
}

func TestWhatIsBeingCompletedDoesNotExpire(t *testing.T) {
	w := begin(t, options())
	w.at(0, Running{[]dataflow.Incarnation{"a"}})
	w.at(10, tick, "begin periodic")
	w.at(10, Began{1, Periodic}, "trigger 1")
	w.at(11, ackOf(1, "a"), "complete 1 a")
	w.next(-1)
	w.at(99, tick)
	w.at(99, CompleteFailed{ID: 1, Reason: "put: connection reset"}, "abort 1 #1")
	w.at(99, CompleteFailed{ID: 1, Reason: "put: connection reset"})
}

func TestFailuresInRow(t *testing.T) {
	w := begin(t, options()) // tolerates 2
	w.at(0, ab)
	for i := range 2 {
		id := dataflow.CheckpointID(i + 1)
		w.at(float64(10*i+10), tick, "begin periodic")
		w.at(float64(10*i+10), Began{id, Periodic}, fmt.Sprint("trigger ", id))
		w.at(float64(10*i+11), Decline{ID: id, Process: "a", Reason: "disk full"}, fmt.Sprintf("abort %d #%d", id, i+1))
		w.at(float64(10*i+11), Decline{ID: id, Process: "b", Reason: "disk full"})
		w.at(float64(10*i+12), Aborted{id})
		w.at(float64(10*i+12), Aborted{id})
	}
	w.at(30, tick, "begin periodic")
	w.complete(31, 3, Periodic) // counts anew
	for i := range 3 {
		id := dataflow.CheckpointID(i + 4)
		w.at(float64(10*i+40), tick, "begin periodic")
		w.at(float64(10*i+40), Began{id, Periodic}, fmt.Sprint("trigger ", id))
		want := []string{fmt.Sprintf("abort %d #%d", id, i+1)}
		if i == 2 {
			want = append(want, "fail job")
		}
		w.at(float64(10*i+41), Decline{ID: id, Process: "a", Reason: "disk full"}, want...)
		w.at(float64(10*i+42), Aborted{id})
	}
	w.next(-1)
	w.at(99, Requested{"k"}, "refuse k")
	w.at(99, tick)
}

func TestToleratesAny(t *testing.T) {
	o := options()
	o.TolerableFailures = -1
	w := begin(t, o)
	w.at(0, ab)
	for i := 1; i < 100; i++ {
		id := dataflow.CheckpointID(i)
		w.at(float64(10*i), tick, "begin periodic")
		w.at(float64(10*i), Began{id, Periodic}, fmt.Sprint("trigger ", id))
		w.at(float64(10*i), Decline{ID: id, Process: "a", Reason: ""}, fmt.Sprintf("abort %d #%d", i, i))
		w.at(float64(10*i), Aborted{id})
	}
}

func TestStrangers(t *testing.T) {
	w := begin(t, options())
	w.at(0, ab)
	w.at(10, tick, "begin periodic")
	w.at(10, Began{7, Periodic}, "trigger 7")
	w.at(11, ackOf(7, "zombie"), "late 7 zombie")
	w.at(11, ackOf(6, "a"), "late 6 a")
	w.at(11, Decline{ID: 7, Process: "zombie", Reason: "x"}, "late 7 zombie")
	w.at(11, ackOf(7, "a"))
	w.at(11, ackOf(7, "b"), "complete 7 a,b")
}

func TestManualRequestsShareOne(t *testing.T) {
	w := begin(t, options())
	w.at(0, Requested{"k"})
	w.at(1, ab, "begin manual k")
	w.at(1, Requested{"k"}) // asked for already
	w.at(1, Requested{"l"})
	w.at(1, Requested{"m"})
	w.at(1, Requested{"l"})
	w.at(2, Began{1, Manual}, "trigger 1")
	w.at(2, ackOf(1, "a"))
	w.at(2, ackOf(1, "b"), "complete 1 a,b")
	w.at(3, Completed{1}, "begin manual l m")
	w.at(3, BeginRefused{})
	w.at(3, Requested{"n"})
	w.next(4) // a refusal is not repeated at once
	w.at(4, tick, "begin manual n")
	w.at(5, Requested{"o"})
	w.at(6, AttemptOver{}, "refuse o")
	w.at(7, Began{2, Manual})
}

func TestRequestsAreBounded(t *testing.T) {
	w := begin(t, options())
	for i := range requestsMax {
		w.at(0, Requested{fmt.Sprint(i)})
	}
	w.at(0, Requested{"one more"}, "refuse one more")
}

func TestFinal(t *testing.T) {
	w := begin(t, options())
	w.at(0, ab)
	w.at(10, tick, "begin periodic")
	w.at(10, Began{1, Periodic}, "trigger 1")
	w.at(11, EndOfData{"b"})
	w.at(11, EndOfData{"b"})
	w.at(12, EndOfData{"a"}) // nothing is aborted
	w.at(12, ackOf(1, "a"))
	w.at(12, ackOf(1, "b"), "complete 1 a,b")
	w.at(13, Completed{1}, "begin final") // not the final one: that comes at once
	w.at(13, Began{2, Final}, "trigger 2")
	w.at(13, Decline{ID: 2, Process: "a", Reason: "store is down"}, "abort 2 #1")
	w.at(14, Aborted{2})
	w.next(15)
	w.at(15, tick, "begin final") // again
	w.at(15, Began{3, Final}, "trigger 3")
	w.at(15, ackOf(3, "a"))
	w.at(15, ackOf(3, "b"), "complete 3 a,b")
	w.at(16, Completed{3}, "finish job")
	w.next(-1)
	w.at(17, tick)
}

func TestNewLeaderGoesOn(t *testing.T) {
	w := &world{t, Adopt(options(), Facts{Pending: []Pending{{ID: 4, Trigger: Periodic}}, FailuresInRow: 2})}
	w.next(-1)
	w.at(0.1, tick)
	w.at(0.1, ackOf(4, "a"))
	w.at(0.1, ackOf(4, "zombie")) // who takes part is not known yet
	w.at(0.2, EndOfData{"a"})
	w.at(0.3, ab, "trigger 4")
	w.next(10.3) // counted by the new leader's clock
	w.at(0.4, ackOf(4, "a"))
	w.at(0.4, ackOf(4, "b"), "complete 4 a,b")
	w.at(0.5, Completed{4})
	w.next(10.3)
}

func TestNewLeaderHasAllAcksBeforeItKnowsWhoRuns(t *testing.T) {
	w := &world{t, Adopt(options(), Facts{Pending: []Pending{{ID: 4, Trigger: Final}}})}
	w.at(0.1, ackOf(4, "a"))
	w.at(0.1, ackOf(4, "b"))
	w.at(0.3, ab, "trigger 4", "complete 4 a,b")
	w.at(0.5, Completed{4}, "finish job")
}

func TestNewLeaderCountsOnWithTheFailures(t *testing.T) {
	w := &world{t, Adopt(options(), Facts{Pending: []Pending{{ID: 4, Trigger: Periodic}}, FailuresInRow: 2})}
	w.at(0, ab, "trigger 4")
	w.at(60, tick, "abort 4 #3", "fail job")
}

func TestNewLeaderFinishes(t *testing.T) {
	w := &world{t, Adopt(options(), Facts{FinalCompleted: true})}
	w.at(0, tick, "finish job")
	w.at(1, tick)
}

func TestNewLeaderFindsSeveral(t *testing.T) {
	o := options()
	o.TolerableFailures = 0
	w := &world{t, Adopt(o, Facts{Pending: []Pending{{ID: 4, Trigger: Periodic}, {ID: 5, Trigger: Periodic}}})}
	w.at(0, ab, "trigger 4", "trigger 5")
	w.at(1, ackOf(5, "a"))
	w.at(1, ackOf(5, "b"), "complete 5 a,b")
	w.at(2, Completed{5}) // 4 is subsumed
	w.next(10)
	w.at(3, ackOf(4, "a"), "late 4 a")
	w = &world{t, Adopt(o, Facts{Pending: []Pending{{ID: 4, Trigger: Periodic}, {ID: 5, Trigger: Periodic}}})}
	w.at(7200, ab, "trigger 4", "trigger 5")
	w.at(7260, tick, "abort 4 #1", "fail job") // both expired; the first is enough
}

// TestAnyOrder checks what must hold whatever comes: never two asked for or in
// flight, each checkpoint completed or aborted at most once, nothing after the
// end, and a Tick at Next always does something or moves it.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := options()
		o.TolerableFailures = rapid.IntRange(-1, 2).Draw(t, "tolerable")
		o.MinPause = time.Duration(rapid.IntRange(0, 15).Draw(t, "pause")) * time.Second
		s, now := New("job", o), time.Duration(0)
		id, asked, over := dataflow.CheckpointID(0), false, false
		why := Periodic
		closed := map[dataflow.CheckpointID]string{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			e := anyEvent(t, &id, &asked, why)
			if at, ok := s.Next(); ok && rapid.Bool().Draw(t, "jump") {
				now, e = max(now, at), Tick{}
			}
			before := fmt.Sprintf("%+v", s)
			next, actions := s.Step(now, e)
			if after := fmt.Sprintf("%+v", s); after != before {
				t.Fatalf("%T%v changed the receiver:\n%s\n%s", e, e, before, after)
			}
			s = next
			for _, a := range actions {
				if _, refuse := a.(RefuseRequest); over && !refuse {
					t.Fatalf("after the end: %T", a)
				}
				switch a := a.(type) {
				case ProposeBegin:
					if asked || len(s.inFlight) > 0 {
						t.Fatalf("a second one: %+v", s)
					}
					asked, why = true, a.Trigger
				case Complete:
					if closed[a.ID] != "" || len(a.Parts) != 2 {
						t.Fatalf("complete %d with %d parts after %q", a.ID, len(a.Parts), closed[a.ID])
					}
					closed[a.ID] = "complete"
				case ProposeAbort:
					if closed[a.ID] == "abort" {
						t.Fatalf("abort %d twice", a.ID)
					}
					closed[a.ID] = "abort"
				case FailJob, FinishJob:
					over = true
				}
			}
			if at, ok := s.Next(); ok && at <= now {
				t.Fatalf("a tick is due at %v, it is %v: the host would spin", at, now)
			}
			if len(s.inFlight) > 1 {
				t.Fatalf("two in flight")
			}
			now += time.Duration(rapid.IntRange(0, 5).Draw(t, "seconds")) * time.Second
		}
	})
}

func anyEvent(t *rapid.T, id *dataflow.CheckpointID, asked *bool, why Trigger) Event {
	p := rapid.SampledFrom([]dataflow.Incarnation{"a", "b", "zombie"}).Draw(t, "process")
	some := dataflow.CheckpointID(rapid.IntRange(max(0, int(*id)-1), int(*id)).Draw(t, "id"))
	switch rapid.IntRange(0, 9).Draw(t, "event") {
	case 0:
		return ab
	case 1:
		return Requested{rapid.StringMatching("[kl]").Draw(t, "key")}
	case 2:
		return EndOfData{p}
	case 3:
		if *asked {
			*asked = false
			return BeginRefused{}
		}
	case 4:
		return Decline{ID: some, Process: p, Reason: "no"}
	case 5:
		return Completed{some}
	case 6:
		return CompleteFailed{ID: some, Reason: "no"}
	case 7:
		return Aborted{some}
	default:
		if *asked {
			*asked = false
			*id++
			return Began{*id, why}
		}
		return ackOf(some, p)
	}
	return Tick{}
}
