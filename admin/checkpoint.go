package admin

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

func (t *tree) checkpoint() *cobra.Command {
	command := func(use, short string, n int, work func(context.Context, *Client, []string) error) *cobra.Command {
		complete := t.completeJob
		if n == 2 {
			complete = t.completeCheckpoint
		}
		return &cobra.Command{Use: use, Short: short, Args: Args(cobra.ExactArgs(n)), ValidArgsFunction: complete, RunE: t.run(work)}
	}
	return group("checkpoint", "List, look at, trigger, delete, verify and compare checkpoints",
		t.checkpointListCommand(), t.checkpointShowCommand(), t.checkpointHistoryCommand(),
		t.checkpointTriggerCommand(),
		command("delete JOB CHECKPOINT", "Drop a completed checkpoint from the catalog", 2, t.checkpointDelete),
		t.checkpointPinCommand("pin"), t.checkpointPinCommand("unpin"), t.checkpointWhyCommand(),
		t.checkpointVerifyCommand(), t.checkpointDiffCommand())
}

func (t *tree) checkpointListCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "list JOB", Short: "List a job's checkpoints: in flight, completed and failed", Args: Args(cobra.ExactArgs(1)), ValidArgsFunction: t.completeJob,
		Example: "  cairn checkpoint list flights-k3x9qa\n  cairn checkpoint list flights-k3x9qa --limit 20",
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			return t.checkpointList(ctx, c, given[0], limit)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many, the newest; 0: all")
	return cmd
}

func (t *tree) checkpointList(ctx context.Context, c *Client, job string, limit int) error {
	if limit < 0 {
		return usagef("--limit %d: give a number above 0, or 0 for all", limit)
	}
	r, err := call(ctx, c, "checkpoint list", wire.ControlClient.ListCheckpoints, &wire.ListCheckpointsRequest{Job: job, Limit: int32(limit)})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(view(r))
	}
	fmt.Fprintf(t.stdout, "%d completed, %d failed since the job began\n\n", r.Completed, r.Failed)
	var rows [][]string
	for _, k := range r.Checkpoints {
		duration, state, uploaded, puts := "-", "-", "-", "-"
		if k.EndedUnixMs > 0 {
			duration = msText(k.DurationMs)
		}
		if measured(k) {
			state, uploaded, puts = bytesText(k.StateBytes), bytesText(k.UploadedBytes), fmt.Sprint(k.Puts)
		}
		rows = append(rows, []string{fmt.Sprint(k.Id), k.Status, dash(k.Trigger), fmt.Sprint(k.Attempt), terms(k), timeText(k.BegunUnixMs), duration,
			state, uploaded, puts, restorableText(k), dash(k.Reason)})
	}
	if err := table(t.stdout, ">ID STATUS TRIGGER >ATTEMPT TERM BEGUN >DURATION >STATE >UPLOADED >PUTS RESTORABLE REASON", rows); err != nil || r.LeftOut == 0 {
		return err
	}
	_, err = fmt.Fprintf(t.stdout, "\n%s left out: --limit 0 lists all\n", plural(int64(r.LeftOut), "older checkpoint"))
	return err
}

// restorableText says whether a checkpoint can be restored, and how a person keeps it.
func restorableText(k *wire.CheckpointView) string {
	switch {
	case k.Pinned:
		return "pinned"
	case k.Restorable && k.Savepoint != "":
		return "savepoint"
	}
	return yes(k.Restorable)
}

// measured tells whether the checkpoint has figures: it completed, and not
// before the history began.
func measured(k *wire.CheckpointView) bool { return k.EndedUnixMs > 0 && k.Status != "failed" }

// terms shows the term of a checkpoint, both if it outlived its leader.
func terms(k *wire.CheckpointView) string {
	switch {
	case k.BegunTerm == 0: // older than the history
		return "-"
	case k.EndedTerm == 0 || k.EndedTerm == k.BegunTerm:
		return fmt.Sprint(k.BegunTerm)
	}
	return fmt.Sprintf("%d→%d", k.BegunTerm, k.EndedTerm)
}

func (t *tree) checkpointTriggerCommand() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:   "trigger JOB",
		Short: "Take a checkpoint now",
		Long: "Take a checkpoint now, without waiting for the interval or the pause.\n\n" +
			"With an id of your own the command can be repeated: the cluster begins one checkpoint for it, and tells that\n" +
			"one's number again, also after a change of leader and when it has completed or failed since.",
		Example:           "  cairn checkpoint trigger flights-k3x9qa\n  cairn checkpoint trigger flights-k3x9qa --id before-release-7",
		Args:              Args(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeJob,
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			return t.checkpointTrigger(ctx, c, given, cmp.Or(id, requestKey()))
		}),
	}
	cmd.Flags().StringVar(&id, "id", "", "begin one checkpoint for this id, however often the command is repeated")
	return cmd
}

func (t *tree) checkpointTrigger(ctx context.Context, c *Client, given []string, key string) error {
	r, err := call(ctx, c, "checkpoint trigger", wire.ControlClient.TriggerCheckpoint,
		&wire.TriggerCheckpointRequest{Job: given[0], Key: key})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(object{{"job", given[0]}, {"checkpoint", r.Checkpoint}})
	}
	_, err = fmt.Fprintf(t.stdout, "checkpoint %d begun; see it with: cairn checkpoint show %s %d\n", r.Checkpoint, given[0], r.Checkpoint)
	return err
}

func (t *tree) checkpointDelete(ctx context.Context, c *Client, given []string) error {
	id, err := checkpointID(given[1])
	if err != nil {
		return err
	}
	_, err = call(ctx, c, "checkpoint delete", wire.ControlClient.DeleteCheckpoint, &wire.DeleteCheckpointRequest{Job: given[0], Checkpoint: id})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(object{{"job", given[0]}, {"checkpoint", id}})
	}
	_, err = fmt.Fprintf(t.stdout, "checkpoint %d of job %s deleted; its objects go in the background\n", id, given[0])
	return err
}

func checkpointID(s string) (uint64, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id == 0 {
		return 0, usagef("checkpoint %q: give its number, as cairn checkpoint list shows it", s)
	}
	return id, nil
}
