package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

func (t *tree) jobShow(ctx context.Context, c *Client, given []string) error {
	var r *wire.GetJobResponse
	err := c.Do(ctx, "job show", func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.GetJob(ctx, &wire.GetJobRequest{Job: given[0]})
		return err
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(map[string]any{
			"job": r.Summary, "graph": rawJSON(r.Graph), "options": rawJSON(r.Options), "artifact_sha256": r.ArtifactSha256, "args": r.Args,
			"subtasks": r.Subtasks, "failures": r.Failures, "slots_missing": r.SlotsMissing, "restart_at_unix_ms": r.RestartAtUnixMs, "processes": r.Stats,
		})
	}
	return showJob(t.stdout, r)
}

func showJob(w io.Writer, r *wire.GetJobResponse) error {
	var g dataflow.Graph
	if err := json.Unmarshal(r.Graph, &g); err != nil {
		return fmt.Errorf("read the graph of job %s: %w", r.Summary.Id, err)
	}
	plan, err := g.Plan()
	if err != nil {
		return err
	}
	s := r.Summary
	fmt.Fprintf(w, "job %s  %s", s.Id, s.Status)
	if s.Reason != "" {
		fmt.Fprintf(w, " (%s)", s.Reason)
	}
	fmt.Fprintf(w, "  attempt %d  restarts %d  submitted %s\n", s.Attempt, s.Restarts, agoText(s.SubmittedUnixMs))
	if s.LastCheckpoint > 0 {
		fmt.Fprintf(w, "last checkpoint %d, %s\n", s.LastCheckpoint, agoText(s.LastCheckpointUnixMs))
	}
	if r.SlotsMissing > 0 {
		fmt.Fprintf(w, "waiting for %d more slots: start another worker, or one with more --slots\n", r.SlotsMissing)
	}
	if r.RestartAtUnixMs > 0 {
		fmt.Fprintf(w, "restarts at %s\n", timeText(r.RestartAtUnixMs))
	}
	fmt.Fprintln(w)
	drawGraph(w, &g, plan, r.Subtasks)
	fmt.Fprintln(w)
	if err := subtaskTable(w, r.Subtasks); err != nil {
		return err
	}
	for i, f := range r.Failures {
		if i == 0 {
			fmt.Fprintln(w, "\nfailures, newest first")
		}
		fmt.Fprintf(w, "  %s  attempt %d: %s\n", timeText(f.AtUnixMs), f.Attempt, f.Reason)
		if i == 0 && f.Stack != "" {
			fmt.Fprintln(w, "    "+strings.ReplaceAll(strings.TrimSpace(f.Stack), "\n", "\n    "))
		}
	}
	return nil
}

// drawGraph draws the vertices in order, each with what it sends where:
//
//	[0] read -> parse  x2   20,112 records/s in  0 B state
//	     └─hash──▶ [1]
func drawGraph(w io.Writer, g *dataflow.Graph, plan *dataflow.Plan, subtasks []*wire.SubtaskView) {
	for _, v := range plan.Vertices {
		names := make([]string, len(v.Operators))
		for i, uid := range v.Operators {
			names[i] = string(uid)
		}
		var in, out, state int64
		for _, s := range subtasks {
			if int(s.Subtask.GetVertex()) == v.ID && s.Stats != nil {
				in, out, state = in+s.Stats.RecordsIn, out+s.Stats.RecordsOut, state+s.Stats.StateBytes
			}
		}
		fmt.Fprintf(w, "[%d] %s  x%d   records in %s  out %s  state %s\n", v.ID, strings.Join(names, " -> "), v.Parallelism, countText(in), countText(out), bytesText(state))
		for _, e := range plan.Edges {
			if e.From == v.ID {
				side := ""
				if n := g.Edges[e.Edge].Output; n > 0 {
					side = fmt.Sprintf(" (side output %d)", n)
				}
				fmt.Fprintf(w, "     └─%s──▶ [%d]%s\n", e.Partitioning, e.To, side)
			}
		}
	}
}

func subtaskTable(w io.Writer, subtasks []*wire.SubtaskView) error {
	var rows [][]string
	for _, s := range subtasks {
		st := s.Stats
		if st == nil {
			st = &wire.SubtaskStats{}
		}
		rows = append(rows, []string{
			fmt.Sprintf("%d/%d", s.Subtask.GetVertex(), s.Subtask.GetIndex()), dash(s.Worker), dash(s.State), countText(st.RecordsIn), countText(st.RecordsOut),
			bytesText(st.StateBytes), watermarkText(st.WatermarkMs), fmt.Sprintf("%.0f%%", 100*st.Busy), fmt.Sprintf("%.0f%%", 100*st.Backpressured), fmt.Sprint(st.BadRecords), dash(s.Process),
		})
	}
	return table(w, "SUBTASK WORKER STATE RECORDS-IN RECORDS-OUT STATE-SIZE WATERMARK BUSY BACKPRESSURE BAD-ROWS PROCESS", rows)
}

// watermarkText is event time in UTC; the ends of time are a dash.
func watermarkText(ms int64) string {
	t := time.UnixMilli(ms).UTC()
	if ms == 0 || t.Year() < 1900 || t.Year() > 9999 {
		return "-"
	}
	return t.Format("2006-01-02T15:04:05Z")
}
