package admin

import (
	"strings"
	"testing"

	"github.com/cairnstream/cairn/wire"
)

func listOf(checkpoints ...*wire.CheckpointView) *wire.ListCheckpointsResponse {
	return &wire.ListCheckpointsResponse{Checkpoints: checkpoints}
}

func done(id uint64, ms float64) *wire.CheckpointView {
	return &wire.CheckpointView{Id: id, Status: "completed", BegunUnixMs: 1, EndedUnixMs: 2, DurationMs: ms}
}

func TestHistoryLinesTellEachBeginAndEndOnce(t *testing.T) {
	var b strings.Builder
	h := &historyLines{w: &b}
	pending := &wire.CheckpointView{Id: 4, Status: "pending", BegunUnixMs: 3}
	failed := &wire.CheckpointView{Id: 4, Status: "failed", BegunUnixMs: 3, EndedUnixMs: 5, Failure: "declined", Reason: "declined by process p"}
	subsumed := done(3, 7)
	subsumed.Status = "subsumed"
	for _, list := range []*wire.ListCheckpointsResponse{
		listOf(done(3, 7), done(2, 7)), listOf(pending, done(3, 7), done(2, 7)), listOf(pending, subsumed), listOf(failed, subsumed),
	} {
		if err := h.show(list); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	want := []string{"checkpoint 3 completed", "checkpoint 4 pending", "checkpoint 4 failed (-) after 2.0 ms, declined: declined by process p"}
	if len(lines) != len(want) {
		t.Fatalf("got %q, want %q", lines, want)
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("line %d: %q, want %q in it", i, lines[i], want[i])
		}
	}
}

func TestHistoryScreenGoesBackOverWhatItDrew(t *testing.T) {
	var b strings.Builder
	s := &historyScreen{w: &b, limit: 2}
	for range 2 {
		if err := s.show(listOf(done(3, 7), done(2, 7), done(1, 7))); err != nil {
			t.Fatal(err)
		}
	}
	first, second, drawnOver := strings.Cut(b.String(), "\x1b[14A\r\x1b[J")
	if !drawnOver || first != second || strings.Count(first, "\n") != 14 {
		t.Fatalf("%d lines first, then %q", strings.Count(first, "\n"), second)
	}
}

func TestSummaryTakesNearestRanks(t *testing.T) {
	var all []*wire.CheckpointView
	for i := range 200 {
		all = append(all, done(uint64(i+1), float64(200-i)))
	}
	s := summarize(append(all, &wire.CheckpointView{Id: 999, Status: "failed", Failure: "expired"}, &wire.CheckpointView{Id: 1000, Status: "pending"}))
	if s.Completed != 200 || s.Failed != 1 || s.Failures["expired"] != 1 || s.DurationMs != (spread{P50: 100, P99: 198, Max: 200}) {
		t.Fatalf("got %+v", s)
	}
	if empty := summarize(nil); empty.DurationMs != (spread{}) {
		t.Fatalf("of nothing: %+v", empty)
	}
}
