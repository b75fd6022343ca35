package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// TestAlignmentOfEachMode plays what a subtask hears of one checkpoint or more, for edges
// that barriers may overtake (h) and those where they never do (f):
//
//	0:1  the barrier of checkpoint 1 has come to the head of channel 0
//	0?1  the news of it: the channel holds it
//	!    the aligned timeout has passed
//	-1   the checkpoint is aborted
//
// and compares what the subtask does, as in TestAlignmentTranscripts; g: begins, k: what
// the channel holds before the barrier is in flight.
func TestAlignmentOfEachMode(t *testing.T) {
	for _, c := range []struct {
		name, edges string
		t           Trigger
		play, want  string
		keeps       int // channels whose barrier is still waited for at the end
	}{
		{"aligned: every channel", "hh", Trigger{}, "0:1 1:1", "gb rc1", 0},
		{"savepoint: aligned", "hh", Trigger{Mode: Savepoint}, "0:1 1:1", "gb rc1", 0},
		{"at least once: no channel waits", "hhf", Trigger{Mode: AtLeastOnce}, "0:1 1:1 2:1", "g . c1", 0},
		{"at least once: several are counted", "hh", Trigger{Mode: AtLeastOnce}, "0:1 0:2 1:1 1:2", "g g c1 c2", 0},
		{"at least once: a newer one ends an older", "hh", Trigger{Mode: AtLeastOnce}, "0:1 0:2 1:2 1:1", "g g c2 .", 0},
		{"at least once: aborted", "hh", Trigger{Mode: AtLeastOnce}, "0:1 -1 1:1 0:2 1:2", "g . . g c2", 0},
		{"unaligned: the first news cuts", "hhh", Trigger{Mode: Unaligned}, "1?1", "grc1", 2},
		{"unaligned: the others' records until their barriers", "hhh", Trigger{Mode: Unaligned}, "1?1 0?1 2?1 1:1 0:1 2:1", "grc1 k k . . .", 0},
		{"unaligned: forward edges align first", "hf", Trigger{Mode: Unaligned}, "0?1 1?1 1:1 0:1", "g . rc1 .", 0},
		{"unaligned: a channel may align before", "hhf", Trigger{Mode: Unaligned}, "0?1 0:1 2?1 2:1 1?1", "g b . rc1 k", 0},
		{"unaligned: only forward edges", "ff", Trigger{Mode: Unaligned}, "0?1 0:1 1?1 1:1", "g b . rc1", 0},
		{"unaligned: aborted before the cut", "hf", Trigger{Mode: Unaligned}, "0?1 -1 1?1 1:1", "g r . .", 0},
		{"unaligned: aborted behind the cut", "hh", Trigger{Mode: Unaligned}, "0?1 -1 1?1", "grc1 . .", 0},
		{"unaligned: the next gives up the rest of the last", "hh", Trigger{Mode: Unaligned}, "0?1 0?2 1?1 1?2", "grc1 grc2 . k", 0},
		{"timeout: aligned in time", "hh", Trigger{AlignedTimeout: time.Second}, "0?1 0:1 1?1 1:1", "g b . rc1", 0},
		{"timeout: overtakes", "hh", Trigger{AlignedTimeout: time.Second}, "0?1 0:1 !", "g b c", 1},
		{"timeout: overtakes what is queued", "hh", Trigger{AlignedTimeout: time.Second}, "0?1 1?1 !", "g . c", 0},
		{"timeout: forward edges still align", "hf", Trigger{AlignedTimeout: time.Second}, "0?1 ! 1?1 1:1", "g . . rc1", 0},
		{"timeout without an alignment", "hh", Trigger{AlignedTimeout: time.Second}, "!", ".", 0},
	} {
		a := newAlignment(edges(c.edges))
		if got := playMode(t, a, c.t, c.play); got != c.want {
			t.Errorf("%s: %s\n got %s\nwant %s", c.name, c.play, got, c.want)
		}
		if a.keeps != c.keeps {
			t.Errorf("%s: %d channels are kept at the end, want %d", c.name, a.keeps, c.keeps)
		}
	}
}

func edges(s string) (may []bool) {
	for _, e := range s {
		may = append(may, e == 'h')
	}
	return may
}

func playMode(t *testing.T, a *alignment, like Trigger, play string) string {
	var lines []string
	for _, step := range strings.Fields(play) {
		var channel, id int
		var what byte
		switch n, _ := fmt.Sscanf(step, "%d%c%d", &channel, &what, &id); {
		case step == "!":
			lines = append(lines, strings.TrimSuffix(verdict{cut: a.timeout()}.line(0), "0"))
		case strings.HasPrefix(step, "-"):
			fmt.Sscanf(step, "-%d", &id)
			release, _ := a.abort(dataflow.CheckpointID(id))
			lines = append(lines, verdict{release: release}.line(id))
		case n != 3:
			t.Fatalf("bad step %q", step)
		default:
			trigger := like
			trigger.ID = dataflow.CheckpointID(id)
			v := a.barrier
			if what == '?' {
				v = a.news
			}
			lines = append(lines, withMode(v(channel, &trigger), id))
		}
	}
	return strings.Join(lines, " ")
}

func withMode(v verdict, id int) string {
	s := ""
	if v.begun {
		s = "g"
	}
	if v.keep {
		s += "k"
	}
	if rest := v.line(id); s == "" || rest != "." {
		s += rest
	}
	return s
}

// TestOvertakingKeepsWhatIsBeforeEachBarrier plays random channels, each a line of records
// with one barrier in it, to which the subtask comes in any order: what it has processed at the
// cut and what is kept must be exactly the records before the barriers.
func TestOvertakingKeepsWhatIsBeforeEachBarrier(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		w := newLines(r)
		for !w.over() {
			w.step(r)
		}
		for i, l := range w.lines {
			if got := l.before + l.kept; got != l.barrier {
				t.Fatalf("channel %d of %s, %+v: %d processed before the cut and %d kept, want %d together", i, w.edges, w.t, l.before, l.kept, l.barrier)
			}
		}
	}
}

// lines are channels on their way to a subtask.
type lines struct {
	t     *Trigger
	edges string
	a     *alignment
	lines []*testLine
	cut   bool
}

type testLine struct {
	barrier int // records before it
	arrived int // of the records and the barrier behind them, those that are in the queue
	taken   int // of these, those that the subtask has processed
	blocked bool
	before  int // records processed at the cut
	kept    int
}

func newLines(r *rand.Rand) *lines {
	w := &lines{t: &Trigger{ID: 1, Mode: Unaligned}}
	if r.IntN(2) == 0 {
		w.t = &Trigger{ID: 1, AlignedTimeout: time.Second}
	}
	for range 1 + r.IntN(4) {
		w.edges += string("hhf"[r.IntN(3)])
		w.lines = append(w.lines, &testLine{barrier: r.IntN(5)})
	}
	w.a = newAlignment(edges(w.edges))
	return w
}

func (w *lines) over() bool {
	for _, l := range w.lines {
		if l.taken <= l.barrier {
			return false
		}
	}
	return w.cut && w.a.keeps == 0
}

// step lets something arrive, or the time pass, or the subtask take what comes next.
func (w *lines) step(r *rand.Rand) {
	i := r.IntN(len(w.lines))
	l := w.lines[i]
	switch {
	case r.IntN(20) == 0:
		w.obey(verdict{cut: w.a.timeout()}, i)
	case r.IntN(2) == 0 && l.arrived <= l.barrier:
		if l.arrived++; l.arrived > l.barrier {
			w.obey(w.a.news(i, w.t), i)
		}
	case l.blocked || l.taken == l.arrived:
	case l.taken == l.barrier:
		l.taken++
		w.obey(w.a.barrier(i, w.t), i)
	default:
		if w.cut && w.a.keeping[i] {
			l.kept++
		}
		l.taken++
	}
}

func (w *lines) obey(v verdict, i int) {
	l := w.lines[i]
	if v.keep {
		l.kept += l.barrier - l.taken
	}
	l.blocked = l.blocked || v.block
	if !v.cut {
		return
	}
	w.cut = true
	for k, l := range w.lines {
		l.blocked = false
		l.before = min(l.taken, l.barrier)
		if w.a.inFlight(k) {
			l.kept += l.barrier - l.taken
		}
	}
}
