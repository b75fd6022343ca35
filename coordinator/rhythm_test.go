package coordinator

import (
	"fmt"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// firsts are when a job's first n periodic checkpoints begin, if each completes at once.
func firsts(t *testing.T, s State, from time.Duration, n int) (at []time.Duration) {
	t.Helper()
	s, _ = s.Step(from, Running{[]dataflow.Incarnation{"a"}})
	for id := dataflow.CheckpointID(1); len(at) < n; id++ {
		now, ok := s.Next()
		if !ok {
			t.Fatal("nothing is due")
		}
		var actions []Action
		if s, actions = s.Step(now, Tick{}); len(actions) != 1 {
			t.Fatalf("at %v: %v", now, actions)
		}
		at = append(at, now-from)
		for _, e := range []Event{Began{id, Periodic}, ackOf(id, "a"), Completed{id}} {
			s, _ = s.Step(now, e)
		}
	}
	return at
}

// TestJitter: each trigger comes before its slot, by at most its share of the
// interval; the rate is kept; the same job has the same jitter again, another job
// another one.
func TestJitter(t *testing.T) {
	const n = 1000
	for _, share := range []float64{0, 0.1, 1} {
		o := options()
		o.Checkpoint.Jitter = share
		seen := map[time.Duration]bool{}
		for job := range 5 {
			id := dataflow.JobID(fmt.Sprint("job-", job))
			at := firsts(t, New(id, o), time.Hour, n)
			again := firsts(t, New(id, o), time.Hour, n)
			var sum time.Duration
			for i, got := range at {
				slot := time.Duration(i+1) * o.CheckpointInterval
				early := slot - got
				if limit := time.Duration(share * float64(o.CheckpointInterval)); early < 0 || early > limit {
					t.Fatalf("jitter %v, trigger %d at %v: want at most %v before %v", share, i, got, limit, slot)
				}
				if got != again[i] {
					t.Fatalf("trigger %d of %s at %v, then at %v", i, id, got, again[i])
				}
				sum += early
			}
			mean, want := sum.Seconds()/n, share*o.CheckpointInterval.Seconds()/2
			if mean < want*0.9 || mean > want*1.1 {
				t.Errorf("jitter %v: %v s early in the mean, want about %v", share, mean, want)
			}
			if share > 0 && seen[at[0]] {
				t.Errorf("two jobs fire together, %v after they began", at[0])
			}
			seen[at[0]] = true
		}
	}
}

// TestJitterAndMinPause: the first trigger waits for the pause, as in Flink, and so
// does each after the last.
func TestJitterAndMinPause(t *testing.T) {
	o := options()
	o.Checkpoint.Jitter, o.MinPause = 1, 9*time.Second
	for job := range 20 {
		last := time.Duration(0)
		for _, at := range firsts(t, New(dataflow.JobID(fmt.Sprint("job-", job)), o), 0, 50) {
			if at-last < o.MinPause {
				t.Fatalf("a trigger at %v, the last ended at %v", at, last)
			}
			last = at
		}
	}
}

// TestANewLeaderGoesOnWithTheRhythm by the ages of what Raft holds.
func TestANewLeaderGoesOnWithTheRhythm(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		ages  Ages
		pause time.Duration
		next  float64
	}{
		"the last began 4 s ago":                 {Ages{Begun: 4 * s, Ended: 3 * s}, 0, 6},
		"it has just begun":                      {Ages{Begun: 0, Ended: -1}, 0, 10},
		"the pause goes on":                      {Ages{Begun: 9 * s, Ended: 2 * s}, 8 * s, 6},
		"overdue: at once":                       {Ages{Begun: 50 * s, Ended: 40 * s}, 0, 0},
		"none has ended: no pause":               {Ages{Begun: 9 * s, Ended: -1}, 8 * s, 1},
		"the pause was over before it took over": {Ages{Begun: 9 * s, Ended: 9 * s}, 8 * s, 1},
	} {
		o := options()
		o.MinPause = c.pause
		state := Adopt(o, Facts{Ages: &c.ages})
		state, actions := state.Step(100*s, ab)
		at, ok := state.Next()
		if c.next == 0 {
			if len(actions) != 1 || ok {
				t.Errorf("%s: %v, next %v %v", name, actions, at, ok)
			}
			continue
		}
		if want := 100*s + time.Duration(c.next*float64(s)); !ok || at != want || len(actions) > 0 {
			t.Errorf("%s: next %v %v, %v; want %v", name, at, ok, actions, want)
		}
	}
}

// TestOverdueJobsDoNotFireTogether: a leader that takes over many jobs after a long
// time without one spreads what is overdue.
func TestOverdueJobsDoNotFireTogether(t *testing.T) {
	o := options()
	o.Checkpoint.Jitter = 0.5
	seen := map[time.Duration]bool{}
	for job := range 20 {
		state := Adopt(o, Facts{Job: dataflow.JobID(fmt.Sprint("job-", job)), Ages: &Ages{Begun: time.Hour, Ended: time.Hour}})
		state, _ = state.Step(0, ab)
		at, ok := state.Next()
		if !ok || at < 0 || at > 5*time.Second || seen[at] {
			t.Errorf("job %d is due at %v %v", job, at, ok)
		}
		seen[at] = true
	}
}

// TestANewLeaderKnowsSavepoints: it triggers them as what they are, and begins nothing
// beside one that stops the job.
func TestANewLeaderKnowsSavepoints(t *testing.T) {
	w := &world{t, Adopt(options(), Facts{Pending: []Pending{{4, Savepoint, &SavepointWish{Stop: true}}}, Ages: &Ages{Begun: time.Hour, Ended: time.Hour}})}
	w.at(0, ab, "trigger 4 savepoint")
	if got := w.state.Triggers(); len(got) != 1 || got[0].ID != 4 || !got[0].Savepoint.Stop {
		t.Errorf("triggers %+v", got)
	}
	w.at(1, Requested{"k"})
	w.next(10)
	w.at(2, Decline{ID: 4, Process: "a", Reason: "x"}, "abort 4 #0")
	w.at(3, Aborted{4}, "begin manual k")
}

// TestVolumeUnderANewLeader counts from the first report of each process.
func TestVolumeUnderANewLeader(t *testing.T) {
	o := options()
	o.CheckpointInterval, o.Checkpoint.EveryRecords = -1, 100
	w := &world{t, Adopt(o, Facts{Ages: &Ages{Ended: -1}})}
	w.at(0, Volume{"a", 5000, 1, false}) // who takes part is not known yet
	w.at(0, ab)
	w.at(1, Volume{"a", 5050, 1, false})
	w.at(1, Volume{"b", 7000, 1, false})
	w.at(1, Volume{"zombie", 9000, 1, false})
	w.at(2, Volume{"b", 7049, 1, false})
	w.at(2, Volume{"b", 1, 1, false}) // late
	w.at(3, Volume{"b", 7050, 1, false}, "begin volume")
}

// TestTheReasonsOfFailedAttempts tell a person what to look at.
func TestTheReasonsOfFailedAttempts(t *testing.T) {
	o := options()
	o.Checkpoint.MaxAge = 25 * time.Second
	w := begin(t, o)
	w.at(0, ab)
	w.at(10, tick, "begin periodic")
	w.at(10, Began{1, Periodic}, "trigger 1")
	w.at(11, Decline{ID: 1, Process: "a", Reason: "disk full"}, "abort 1 #1")
	w.at(20, Aborted{1}, "begin periodic")
	_, actions := w.state.Step(26*time.Second, tick)
	const want = "no checkpoint has completed for 26s (max_age is 25s); checkpoint 1: declined by process a: disk full"
	if len(actions) != 1 || actions[0].(FailJob).Reason != want {
		t.Errorf("got %+v, want %q", actions, want)
	}
}
