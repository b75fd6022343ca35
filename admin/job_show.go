package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

func (t *tree) jobShow(ctx context.Context, c *Client, given []string) error {
	r, err := call(ctx, c, "job show", wire.ControlClient.GetJob, &wire.GetJobRequest{Job: given[0]})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(view(r).with("graph", rawJSON(r.Graph)).with("options", rawJSON(r.Options)))
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
		return fmt.Errorf("plan the graph of job %s: %w", r.Summary.Id, err)
	}
	jobHead(w, r)
	fmt.Fprintln(w)
	drawGraph(w, &g, plan, r.Subtasks)
	if len(r.Subtasks) > 0 {
		fmt.Fprintln(w)
		if err := subtaskTable(w, r.Subtasks); err != nil {
			return err
		}
	}
	printFailures(w, r.Failures)
	return nil
}

// jobHead is the job in a few lines: what it is, and what it waits for.
func jobHead(w io.Writer, r *wire.GetJobResponse) {
	s := r.Summary
	fmt.Fprintf(w, "job %s  %s\n", s.Id, s.Status)
	if s.Reason != "" {
		fmt.Fprintf(w, "reason: %s\n", oneLine(s.Reason))
	}
	fmt.Fprintf(w, "attempt %d, %s, submitted %s, last checkpoint %s\n", s.Attempt, plural(int64(s.Restarts), "restart"), agoText(s.SubmittedUnixMs), lastCheckpoint(s))
	if r.Origin != "" {
		fmt.Fprintf(w, "started from %s\n", r.Origin)
	}
	fmt.Fprintf(w, "artifact %.12s  arguments %s\n", r.ArtifactSha256, dash(strings.Join(r.Args, " ")))
	if r.Upgrade != "" {
		fmt.Fprintf(w, "upgrade: %s\n", oneLine(r.Upgrade))
	}
	if r.SlotsMissing > 0 {
		fmt.Fprintf(w, "waiting for %s more: start another worker, or one with more --slots\n", plural(int64(r.SlotsMissing), "slot"))
	}
	if r.RestartAtUnixMs > 0 {
		fmt.Fprintf(w, "restarts at %s\n", timeText(r.RestartAtUnixMs))
	}
	for _, lines := range [][]string{damageLines(s.Id, r.Damage), restoreLines(r.Restores), changelogLines(r.Stats)} {
		for _, line := range lines {
			fmt.Fprintln(w, line)
		}
	}
}

// drawGraph draws the vertices in the order of the data, each with its
// subtasks' sums, where they run, and what it sends to whom:
//
//	[0] read -> parse  x4
//	 │  in 0/s  out 20,112/s  state 312 B
//	 │  on w1: 0 1, w2: 2 3
//	 └─ hash ─▶ [1]
func drawGraph(w io.Writer, g *dataflow.Graph, plan *dataflow.Plan, subtasks []*wire.SubtaskView) {
	for _, v := range plan.Vertices {
		names := make([]string, len(v.Operators))
		for i, uid := range v.Operators {
			names[i] = string(uid)
		}
		edges := slices.DeleteFunc(slices.Clone(plan.Edges), func(e dataflow.PlanEdge) bool { return e.From != v.ID })
		rail := "│"
		if len(edges) == 0 {
			rail = " "
		}
		fmt.Fprintf(w, "[%d] %s  x%d\n", v.ID, strings.Join(names, " -> "), v.Parallelism)
		mine := slices.DeleteFunc(slices.Clone(subtasks), func(s *wire.SubtaskView) bool { return int(s.Subtask.GetVertex()) != v.ID })
		for _, line := range vertexLines(mine) {
			fmt.Fprintf(w, " %s  %s\n", rail, line)
		}
		drawEdges(w, g, edges)
	}
}

// vertexLines are the rates and the state of a vertex, and where it runs.
func vertexLines(subtasks []*wire.SubtaskView) []string {
	if len(subtasks) == 0 {
		return []string{"not running"}
	}
	var in, out float64
	var state int64
	told := false
	places := map[string][]string{}
	var workers []string
	for _, s := range subtasks {
		told = told || s.Stats != nil
		in, out, state = in+s.Stats.GetRecordsInPerSecond(), out+s.Stats.GetRecordsOutPerSecond(), state+s.Stats.GetStateBytes()
		if places[s.Worker] == nil {
			workers = append(workers, s.Worker)
		}
		places[s.Worker] = append(places[s.Worker], fmt.Sprint(s.Subtask.GetIndex()))
	}
	slices.Sort(workers)
	for i, name := range workers {
		workers[i] = name + ": " + strings.Join(places[name], " ")
	}
	where := "on " + strings.Join(workers, ", ")
	if !told { // a second has not passed yet
		return []string{where}
	}
	return []string{fmt.Sprintf("in %s  out %s  state %s", rateText(in), rateText(out), bytesText(state)), where}
}

func drawEdges(w io.Writer, g *dataflow.Graph, edges []dataflow.PlanEdge) {
	for i, e := range edges {
		corner := "├"
		if i == len(edges)-1 {
			corner = "└"
		}
		side := ""
		if n := g.Edges[e.Edge].Output; n > 0 {
			side = fmt.Sprintf("side output %d, ", n)
		}
		into := ""
		if n := g.Edges[e.Edge].Input; n > 0 {
			into = fmt.Sprintf(", input %d", n)
		}
		fmt.Fprintf(w, " %s─ %s%s ─▶ [%d]%s\n", corner, side, e.Partitioning, e.To, into)
	}
}

func subtaskTable(w io.Writer, subtasks []*wire.SubtaskView) error {
	var rows [][]string
	for _, s := range subtasks {
		row := []string{fmt.Sprintf("%d/%d", s.Subtask.GetVertex(), s.Subtask.GetIndex()), dash(s.Worker), dash(s.State)}
		rows = append(rows, append(append(row, statsCells(s.Stats)...), dash(s.Process)))
	}
	return table(w, "SUBTASK WORKER STATE >IN >OUT >RECORDS-IN >RECORDS-OUT >STATE-SIZE >LAG >LAG-AGE >BUSY >BACKPRESSURE >BAD-ROWS WATERMARK PROCESS", rows)
}

// statsCells are dashes for a subtask that has not told anything yet.
func statsCells(s *wire.SubtaskStats) []string {
	if s == nil {
		return strings.Fields("- - - - - - - - - - -")
	}
	percent := func(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }
	return []string{
		rateText(s.RecordsInPerSecond), rateText(s.RecordsOutPerSecond), countText(s.RecordsIn), countText(s.RecordsOut),
		bytesText(s.StateBytes), bytesText(s.LagBytes), msText(float64(s.LagMs)), percent(s.Busy), percent(s.Backpressured), countText(s.BadRecords), watermarkText(s.WatermarkMs),
	}
}

// watermarkText is event time in UTC; the beginning of time is a dash.
func watermarkText(ms int64) string {
	if ms == math.MaxInt64 {
		return "end of data"
	}
	t := time.UnixMilli(ms).UTC()
	if ms == 0 || t.Year() < 1 || t.Year() > 9999 {
		return "-"
	}
	return t.Format("2006-01-02T15:04:05Z")
}

// printFailures lists a job's failures, the newest with its stack.
func printFailures(w io.Writer, failures []*wire.Failure) {
	for i, f := range failures {
		if i == 0 {
			fmt.Fprintln(w, "\nfailures, newest first")
		}
		fmt.Fprintf(w, "  %s  attempt %d: %s\n", timeText(f.AtUnixMs), f.Attempt, f.Reason)
		if i == 0 && f.Stack != "" {
			fmt.Fprintln(w, "    "+strings.ReplaceAll(strings.TrimSpace(f.Stack), "\n", "\n    "))
		}
	}
}
