package admin

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

const (
	// historyShown is how many checkpoints are shown unless --limit says otherwise: a
	// screenful.
	historyShown = 20
	// historySummed is how many the summary is of: all that the history keeps.
	historySummed = 1000
)

// historyOptions are the flags of checkpoint history.
type historyOptions struct {
	limit    int
	watch    bool
	interval time.Duration
}

func (t *tree) checkpointHistoryCommand() *cobra.Command {
	var o historyOptions
	cmd := &cobra.Command{
		Use:   "history JOB",
		Short: "Show each checkpoint's phases, sizes and failures, and a summary",
		Long: "Show each checkpoint's phases, sizes and failures, newest first, and a summary of those that the history keeps.\n\n" +
			"With --watch the table is drawn anew as checkpoints come; where the output is no terminal there is a line for each\n" +
			"checkpoint that begins or ends. It ends with the job, or by Ctrl-C.",
		Example: "  cairn checkpoint history flights-k3x9qa\n  cairn checkpoint history flights-k3x9qa --watch",
		Args:    Args(cobra.ExactArgs(1)), ValidArgsFunction: t.completeJob,
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			return t.checkpointHistory(ctx, c, given[0], o)
		}),
	}
	cmd.Flags().IntVar(&o.limit, "limit", historyShown, "show at most so many, the newest")
	cmd.Flags().BoolVar(&o.watch, "watch", false, "go on showing them as they come")
	cmd.Flags().DurationVar(&o.interval, "interval", time.Second, "with --watch: the time between two looks")
	return cmd
}

func (t *tree) checkpointHistory(ctx context.Context, c *Client, job string, o historyOptions) error {
	switch {
	case o.limit < 1:
		return usagef("--limit %d: give a number above 0", o.limit)
	case o.interval < 100*time.Millisecond:
		return usagef("--interval %v: give 100ms or more", o.interval)
	case o.watch && t.output == "json":
		return usagef("--watch prints a table; for a program, ask for checkpoint history -o json again and again")
	case o.watch:
		return t.watchHistory(ctx, c, job, o)
	}
	r, err := historyOf(ctx, c, job, o.limit)
	if err != nil {
		return err
	}
	if t.output == "json" {
		summary := summarize(r.Checkpoints)
		r.Checkpoints = newestOf(r.Checkpoints, o.limit)
		return t.printJSON(view(r).with("summary", summary))
	}
	return printHistory(t.stdout, r, o.limit)
}

func historyOf(ctx context.Context, c *Client, job string, limit int) (*wire.ListCheckpointsResponse, error) {
	return call(ctx, c, "checkpoint history", wire.ControlClient.ListCheckpoints,
		&wire.ListCheckpointsRequest{Job: job, Limit: int32(max(limit, historySummed))})
}

func newestOf(all []*wire.CheckpointView, limit int) []*wire.CheckpointView {
	return all[:min(limit, len(all))]
}

func printHistory(w io.Writer, r *wire.ListCheckpointsResponse, limit int) error {
	fmt.Fprintf(w, "%d completed, %d failed since the job began\n\n", r.Completed, r.Failed)
	if err := historyTable(w, newestOf(r.Checkpoints, limit)); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return summaryTable(w, summarize(r.Checkpoints))
}

const historyHeader = ">ID STATUS TRIGGER MODE BEGUN >DURATION >START-DELAY >ALIGN >SYNC >ASYNC >COMMIT >STATE >UPLOADED >IN-FLIGHT FAILURE REASON"

func historyTable(w io.Writer, checkpoints []*wire.CheckpointView) error {
	var rows [][]string
	for _, k := range checkpoints {
		rows = append(rows, historyRow(k))
	}
	return table(w, historyHeader, rows)
}

func historyRow(k *wire.CheckpointView) []string {
	row := []string{fmt.Sprint(k.Id), k.Status, dash(k.Trigger), dash(k.Mode), timeText(k.BegunUnixMs)}
	if measured(k) {
		for _, ms := range []float64{k.DurationMs, k.StartDelayMs, k.AlignMs, k.SyncMs, k.AsyncMs, k.CommitMs} {
			row = append(row, msText(ms))
		}
		row = append(row, bytesText(k.StateBytes), bytesText(k.UploadedBytes), bytesText(k.InFlightBytes))
	} else {
		row = append(row, failedAfter(k), "-", "-", "-", "-", "-", "-", "-", "-")
	}
	return append(row, dash(k.Failure), dash(k.Reason))
}

// failedAfter is how long a checkpoint took to fail; nothing of one in flight.
func failedAfter(k *wire.CheckpointView) string {
	if k.EndedUnixMs == 0 {
		return "-"
	}
	return msText(float64(k.EndedUnixMs - k.BegunUnixMs))
}

// spread is how a figure is distributed over the completed checkpoints.
type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// historySummary is what the completed and failed checkpoints of a list come to.
type historySummary struct {
	Completed  int            `json:"completed"`
	Failed     int            `json:"failed"`
	Failures   map[string]int `json:"failures"` // by class
	DurationMs spread         `json:"duration_ms"`
	AlignMs    spread         `json:"align_ms"`
	AsyncMs    spread         `json:"async_ms"`
	StateBytes spread         `json:"state_bytes"`
	Uploaded   spread         `json:"uploaded_bytes"`
	InFlight   spread         `json:"in_flight_bytes"`
}

func summarize(checkpoints []*wire.CheckpointView) historySummary {
	s := historySummary{Failures: map[string]int{}}
	var duration, align, async, state, uploaded, inFlight []float64
	for _, k := range checkpoints {
		switch {
		case k.Status == "failed":
			s.Failed++
			s.Failures[dash(k.Failure)]++
		case measured(k):
			s.Completed++
			duration, align, async = append(duration, k.DurationMs), append(align, k.AlignMs), append(async, k.AsyncMs)
			state, uploaded, inFlight = append(state, float64(k.StateBytes)), append(uploaded, float64(k.UploadedBytes)), append(inFlight, float64(k.InFlightBytes))
		}
	}
	s.DurationMs, s.AlignMs, s.AsyncMs = spreadOf(duration), spreadOf(align), spreadOf(async)
	s.StateBytes, s.Uploaded, s.InFlight = spreadOf(state), spreadOf(uploaded), spreadOf(inFlight)
	return s
}

// spreadOf takes the nearest ranks; of nothing all are 0.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	rank := func(percent int) float64 { return values[(len(values)*percent+99)/100-1] }
	return spread{P50: rank(50), P99: rank(99), Max: values[len(values)-1]}
}

func summaryTable(w io.Writer, s historySummary) error {
	ms := func(name string, x spread) []string {
		return []string{name, msText(x.P50), msText(x.P99), msText(x.Max)}
	}
	size := func(name string, x spread) []string {
		return []string{name, bytesText(int64(x.P50)), bytesText(int64(x.P99)), bytesText(int64(x.Max))}
	}
	fmt.Fprintf(w, "of the last %d completed", s.Completed)
	if s.Failed > 0 {
		fmt.Fprintf(w, "; %d failed", s.Failed)
	}
	fmt.Fprintln(w)
	return table(w, "FIGURE >P50 >P99 >MAX", [][]string{
		ms("duration", s.DurationMs), ms("align", s.AlignMs), ms("async", s.AsyncMs),
		size("state", s.StateBytes), size("uploaded", s.Uploaded), size("in flight", s.InFlight),
	})
}
