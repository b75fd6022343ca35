package admin

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

func (t *tree) checkpoint() *cobra.Command {
	return group("checkpoint", "List, look at, trigger and delete checkpoints",
		&cobra.Command{Use: "list JOB", Short: "List a job's checkpoints: in flight, completed and failed", Args: args(cobra.ExactArgs(1)), RunE: t.run(t.checkpointList)},
		&cobra.Command{Use: "show JOB CHECKPOINT", Short: "Show each operator's bytes and the time of each phase", Args: args(cobra.ExactArgs(2)), RunE: t.run(t.checkpointShow)},
		&cobra.Command{Use: "trigger JOB", Short: "Take a checkpoint now", Args: args(cobra.ExactArgs(1)), RunE: t.run(t.checkpointTrigger)},
		&cobra.Command{Use: "delete JOB CHECKPOINT", Short: "Drop a completed checkpoint from the catalog", Args: args(cobra.ExactArgs(2)), RunE: t.run(t.checkpointDelete)})
}

func (t *tree) checkpointList(ctx context.Context, c *Client, given []string) error {
	var r *wire.ListCheckpointsResponse
	err := c.Do(ctx, "checkpoints of job "+given[0], func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.ListCheckpoints(ctx, &wire.ListCheckpointsRequest{Job: given[0]})
		return err
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(r)
	}
	fmt.Fprintf(t.stdout, "%d completed, %d failed since the job began\n\n", r.Completed, r.Failed)
	var rows [][]string
	for _, k := range r.Checkpoints {
		rows = append(rows, []string{fmt.Sprint(k.Id), k.Status, k.Trigger, fmt.Sprint(k.Attempt), timeText(k.BegunUnixMs), msText(k.DurationMs),
			bytesText(k.StateBytes), bytesText(k.UploadedBytes), fmt.Sprint(k.Puts), terms(k), yes(k.Restorable), dash(k.Reason)})
	}
	return table(t.stdout, "ID STATUS TRIGGER ATTEMPT BEGUN DURATION STATE UPLOADED PUTS TERM RESTORABLE REASON", rows)
}

// terms shows the term of a checkpoint, both if it outlived its leader.
func terms(k *wire.CheckpointView) string {
	if k.EndedTerm == 0 || k.EndedTerm == k.BegunTerm {
		return fmt.Sprint(k.BegunTerm)
	}
	return fmt.Sprintf("%d→%d", k.BegunTerm, k.EndedTerm)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (t *tree) checkpointShow(ctx context.Context, c *Client, given []string) error {
	id, err := checkpointID(given[1])
	if err != nil {
		return err
	}
	var r *wire.GetCheckpointResponse
	err = c.Do(ctx, "checkpoint show", func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.GetCheckpoint(ctx, &wire.GetCheckpointRequest{Job: given[0], Checkpoint: id})
		return err
	})
	if err != nil {
		return err
	}
	var meta *checkpointstore.Metadata
	if len(r.Metadata) > 0 {
		if meta, err = checkpointstore.Decode(r.Metadata); err != nil {
			return fmt.Errorf("metadata object of checkpoint %d: %w", id, err)
		}
	}
	if t.output == "json" {
		return t.printJSON(map[string]any{"checkpoint": r.Checkpoint, "metadata": meta, "waiting_for": r.WaitingFor})
	}
	return showCheckpoint(t.stdout, r, meta)
}

func showCheckpoint(w io.Writer, r *wire.GetCheckpointResponse, meta *checkpointstore.Metadata) error {
	k := r.Checkpoint
	fmt.Fprintf(w, "checkpoint %d  %s  %s  attempt %d  term %s\nbegun %s  took %s\n", k.Id, k.Status, k.Trigger, k.Attempt, terms(k), timeText(k.BegunUnixMs), msText(k.DurationMs))
	if k.Reason != "" {
		fmt.Fprintf(w, "reason: %s\n", k.Reason)
	}
	for _, p := range r.WaitingFor {
		fmt.Fprintf(w, "waiting for %s\n", p)
	}
	fmt.Fprintf(w, "phases, the slowest subtask's: start delay %s, align %s, sync %s, async %s; commit %s\n", msText(k.StartDelayMs), msText(k.AlignMs), msText(k.SyncMs), msText(k.AsyncMs), msText(k.CommitMs))
	fmt.Fprintf(w, "state %s  uploaded %s in %d objects  restorable %s  sink commits owed %s\n", bytesText(k.StateBytes), bytesText(k.UploadedBytes), k.Puts, yes(k.Restorable), yes(k.CommitsOwed))
	if meta == nil {
		return nil
	}
	fmt.Fprintf(w, "metadata %s (%s)\n\n", k.MetadataKey, bytesText(k.MetadataSize))
	return table(w, "OPERATOR SUBTASK STATE ENTRIES LOG SEGMENTS LISTS TRANSACTIONS ALIGN SYNC ASYNC PROCESS", operatorRows(meta))
}

func operatorRows(meta *checkpointstore.Metadata) [][]string {
	var rows [][]string
	for _, p := range meta.Processes {
		for _, s := range p.Subtasks {
			for _, o := range s.Operators {
				rows = append(rows, operatorRow(p, s, o))
			}
		}
	}
	return rows
}

func operatorRow(p snapshot.Process, s snapshot.Subtask, o snapshot.Operator) []string {
	var entries, live, logged int64
	segments, lists := 0, 0
	if o.Keyed != nil {
		entries, live, segments = o.Keyed.Entries, o.Keyed.Bytes, len(o.Keyed.Segments)
		for _, g := range o.Keyed.Segments {
			logged += g.Ref.Length
		}
	}
	for _, l := range o.Lists {
		lists += len(l)
	}
	ms := func(d time.Duration) string { return msText(float64(d) / float64(time.Millisecond)) }
	return []string{string(o.UID), s.Task.String(), bytesText(live), countText(entries), bytesText(logged), fmt.Sprint(segments), fmt.Sprint(lists),
		fmt.Sprint(len(o.Transactions)), ms(s.Timing.Align), ms(s.Timing.Sync), ms(s.Timing.Async), string(p.Process)}
}

func (t *tree) checkpointTrigger(ctx context.Context, c *Client, given []string) error {
	var r *wire.TriggerCheckpointResponse
	key := requestKey()
	err := c.Do(ctx, "trigger a checkpoint of job "+given[0], func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.TriggerCheckpoint(ctx, &wire.TriggerCheckpointRequest{Job: given[0], Key: key})
		return err
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(r)
	}
	fmt.Fprintf(t.stdout, "checkpoint %d begun; see it with: cairn checkpoint show %s %d\n", r.Checkpoint, given[0], r.Checkpoint)
	return nil
}

func (t *tree) checkpointDelete(ctx context.Context, c *Client, given []string) error {
	id, err := checkpointID(given[1])
	if err != nil {
		return err
	}
	err = c.Do(ctx, "delete checkpoint", func(ctx context.Context, cc wire.ControlClient) error {
		_, err := cc.DeleteCheckpoint(ctx, &wire.DeleteCheckpointRequest{Job: given[0], Checkpoint: id})
		return err
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(map[string]any{"deleted": id})
	}
	fmt.Fprintf(t.stdout, "checkpoint %d of job %s deleted; its objects go in the background\n", id, given[0])
	return nil
}

func checkpointID(s string) (uint64, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id == 0 {
		return 0, usagef("checkpoint %q: give its number, as cairn checkpoint list shows it", s)
	}
	return id, nil
}
