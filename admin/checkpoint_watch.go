package admin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/term"

	"github.com/cairnstream/cairn/wire"
)

// watchHistory shows checkpoints as they come, until the job has ended.
func (t *tree) watchHistory(ctx context.Context, c *Client, job string, o historyOptions) error {
	show := (&historyLines{w: t.stdout}).show
	if f, ok := t.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		show = (&historyScreen{w: t.stdout, limit: o.limit}).show
	}
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for {
		record, err := call(ctx, c, "checkpoint history", wire.ControlClient.GetJob, &wire.GetJobRequest{Job: job})
		if err != nil {
			return err
		}
		r, err := historyOf(ctx, c, job, o.limit)
		if err != nil {
			return err
		}
		if err := show(r); err != nil {
			return err
		}
		if status := record.GetSummary().GetStatus(); ended(status) {
			_, err := fmt.Fprintf(t.stdout, "job %s is %s\n", job, status)
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// ended tells whether nothing of a job with this status will change.
func ended(status string) bool {
	return slices.Contains([]string{"finished", "cancelled", "failed"}, status)
}

// historyScreen draws the history in place on a terminal.
type historyScreen struct {
	w     io.Writer
	limit int
	drawn int // lines
}

// The moves of a terminal's cursor.
const (
	upLines    = "\x1b[%dA"
	eraseBelow = "\r\x1b[J"
)

func (s *historyScreen) show(r *wire.ListCheckpointsResponse) error {
	var page bytes.Buffer
	if s.drawn > 0 {
		fmt.Fprintf(&page, upLines, s.drawn)
		page.WriteString(eraseBelow)
	}
	start := page.Len()
	if err := printHistory(&page, r, s.limit); err != nil {
		return err
	}
	s.drawn = bytes.Count(page.Bytes()[start:], []byte("\n"))
	_, err := s.w.Write(page.Bytes())
	return err
}

// historyLines writes a line for each checkpoint that began or ended since the last look.
type historyLines struct {
	w    io.Writer
	seen map[uint64]string // status by id
}

func (h *historyLines) show(r *wire.ListCheckpointsResponse) error {
	first := h.seen == nil
	if first {
		h.seen = map[uint64]string{}
	}
	now := map[uint64]string{}
	for _, k := range slices.Backward(r.Checkpoints) { // oldest first
		now[k.Id] = k.Status
		before, known := h.seen[k.Id]
		settled := before == "completed" && k.Status == "subsumed" // no news
		if known && (before == k.Status || settled) || first && k.Status != "pending" && k != lastEnded(r) {
			continue
		}
		if _, err := fmt.Fprintln(h.w, historyLine(k)); err != nil {
			return err
		}
	}
	h.seen = now
	return nil
}

// lastEnded is the newest checkpoint that is not in flight: the first look begins with it.
func lastEnded(r *wire.ListCheckpointsResponse) *wire.CheckpointView {
	for _, k := range r.Checkpoints {
		if k.Status != "pending" {
			return k
		}
	}
	return nil
}

func historyLine(k *wire.CheckpointView) string {
	head := fmt.Sprintf("%s checkpoint %d %s (%s)", timeText(max(k.BegunUnixMs, k.EndedUnixMs)), k.Id, k.Status, dash(k.Trigger))
	switch {
	case measured(k):
		return fmt.Sprintf("%s %s: align %s, async %s, commit %s; state %s, uploaded %s, in flight %s, %s", head, msText(k.DurationMs),
			msText(k.AlignMs), msText(k.AsyncMs), msText(k.CommitMs), bytesText(k.StateBytes), bytesText(k.UploadedBytes), bytesText(k.InFlightBytes), dash(k.Mode))
	case k.Status == "failed":
		return fmt.Sprintf("%s after %s, %s: %s", head, failedAfter(k), dash(k.Failure), oneLine(k.Reason))
	}
	return head
}
