package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
)

// TestAlignmentTranscripts plays barriers (channel:id) and aborts (-id) and
// compares what the subtask does: b blocks the channel, r releases all, c cuts,
// d gives up an older alignment, . nothing.
func TestAlignmentTranscripts(t *testing.T) {
	for _, c := range []struct{ name, play, want string }{
		{"one channel cuts at once", "0:1 0:2", "rc1 rc2"},
		{"all channels", "0:1 1:1 2:1", "b b rc1"},
		{"any order", "2:5 0:5 1:5", "b b rc5"},
		{"a repeat is nothing", "0:1 0:1 1:1", "b . rc1"},
		{"late barrier after the cut", "0:1 1:1 0:1", "b rc1 ."},
		{"newer overtakes", "0:1 1:2 0:2", "b d1rb rc2"},
		{"older after newer is nothing", "0:2 1:1 1:2", "b . rc2"},
		{"abort releases", "0:1 -1 1:1", "b r ."},
		{"abort of another does not release", "0:2 -1 1:2", "b . rc2"},
		{"abort before the first barrier", "-1 0:1 1:1 0:2 1:2", ". . . b rc2"},
		{"late abort after the cut", "0:1 1:1 -1 0:2", "b rc1 . b"},
		{"next after an abort", "0:1 -1 0:2 1:1 1:2", "b r b . rc2"},
		{"abort of one overtaken", "0:1 1:2 -1 0:2", "b d1rb . rc2"},
	} {
		channels := 1
		if strings.Contains(c.play, "1:") {
			channels = 2
		}
		if strings.Contains(c.play, "2:1") || strings.Contains(c.play, "2:5") {
			channels = 3
		}
		if got := transcript(t, newAlignment(make([]bool, channels)), c.play); got != c.want {
			t.Errorf("%s: %s\n got %s\nwant %s", c.name, c.play, got, c.want)
		}
	}
}

func transcript(t *testing.T, a *alignment, play string) string {
	var lines []string
	for _, step := range strings.Fields(play) {
		var ch, id int
		if _, err := fmt.Sscanf(step, "%d:%d", &ch, &id); err == nil {
			lines = append(lines, a.barrier(ch, &Trigger{ID: dataflow.CheckpointID(id)}).line(id))
			continue
		}
		if _, err := fmt.Sscanf(step, "-%d", &id); err != nil {
			t.Fatalf("bad step %q", step)
		}
		release, _ := a.abort(dataflow.CheckpointID(id))
		lines = append(lines, verdict{release: release}.line(id))
	}
	return strings.Join(lines, " ")
}

func (v verdict) line(id int) string {
	s := ""
	if v.declined != 0 {
		s += fmt.Sprintf("d%d", v.declined)
	}
	if v.release {
		s += "r"
	}
	if v.block {
		s += "b"
	}
	if v.cut {
		s += fmt.Sprintf("c%d", id)
	}
	if s == "" {
		return "."
	}
	return s
}

// TestAlignmentCutsAtBarriers plays random channels with barriers in order and
// late aborts: every cut must lie right behind its barrier on every channel.
func TestAlignmentCutsAtBarriers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		channels := 1 + r.IntN(4)
		a := newAlignment(make([]bool, channels))
		pos := make([]int, channels) // barriers seen: ids are 1, 2, ...
		blocked := make([]bool, channels)
		for range 60 {
			if r.IntN(6) == 0 {
				if release, _ := a.abort(dataflow.CheckpointID(1 + r.IntN(10))); release {
					clear(blocked)
				}
				continue
			}
			ch := r.IntN(channels)
			if blocked[ch] {
				continue
			}
			pos[ch]++
			v := a.barrier(ch, &Trigger{ID: dataflow.CheckpointID(pos[ch])})
			if v.release {
				clear(blocked)
			}
			blocked[ch] = blocked[ch] || v.block
			for i, p := range pos {
				if v.cut && p != pos[ch] {
					t.Fatalf("cut for %d while channel %d is at %d", pos[ch], i, p)
				}
			}
		}
	}
}

func TestAlignmentForgetsOldAborts(t *testing.T) {
	a := newAlignment(make([]bool, 2))
	for id := range dataflow.CheckpointID(1000) {
		a.abort(id + 1)
	}
	if len(a.aborted) > abortedMax+1 {
		t.Errorf("%d aborted checkpoints are remembered, want at most %d", len(a.aborted), abortedMax+1)
	}
	if a.trigger(1000) {
		t.Error("a trigger for an aborted checkpoint cuts")
	}
	if !a.trigger(1001) || a.trigger(1001) {
		t.Error("a trigger should cut once")
	}
}

// TestAlignmentEndsWhatItKeepsAtABarrierWithoutNews: a new leader repeats a trigger with the options of
// now, so that the barriers of one checkpoint may pass in several ways. One that there was no
// news of ends what is kept of its channel all the same.
func TestAlignmentEndsWhatItKeepsAtABarrierWithoutNews(t *testing.T) {
	a := newAlignment([]bool{true, true})
	if v := a.news(0, &Trigger{ID: 1, Mode: Unaligned}); !v.cut || a.keeps != 1 {
		t.Fatalf("%+v, %d channels kept", v, a.keeps)
	}
	for _, mode := range []Mode{Aligned, Unaligned} {
		v := a.barrier(1, &Trigger{ID: 1, Mode: mode})
		if first := mode == Aligned; v.kept != first || v.keep || v.cut || v.block || a.keeps != 0 {
			t.Fatalf("%+v, %d channels kept", v, a.keeps)
		}
	}
	a.news(0, &Trigger{ID: 2, Mode: Unaligned})
	a.abort(2)
	if v := a.barrier(1, &Trigger{ID: 2}); v != (verdict{}) {
		t.Fatalf("an aborted one: %+v", v)
	}
}
