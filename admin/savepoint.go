package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

func (t *tree) savepoint() *cobra.Command {
	return group("savepoint", "Take, list, look at and dispose of savepoints",
		t.savepointTriggerCommand(),
		&cobra.Command{
			Use: "list [JOB]", Short: "List a job's savepoints, or those of all jobs",
			Example: "  cairn savepoint list flights-k3x9qa",
			Args:    Args(cobra.MaximumNArgs(1)), ValidArgsFunction: t.completeJob, RunE: t.run(t.savepointList),
		},
		&cobra.Command{
			Use: "show JOB SAVEPOINT", Short: "Show what a savepoint is, where it is and who needs it",
			Example: "  cairn savepoint show flights-k3x9qa 41",
			Args:    Args(cobra.ExactArgs(2)), ValidArgsFunction: t.completeSavepoint, RunE: t.run(t.savepointShow),
		},
		&cobra.Command{
			Use: "dispose JOB SAVEPOINT", Short: "Give a savepoint up, and delete what only it needs",
			Long: "Give a savepoint up. A native one lets go of its checkpoint's objects, a canonical one's folder is\n" +
				"deleted in the background. One that is being taken or written can't be disposed of.",
			Example: "  cairn savepoint dispose flights-k3x9qa 41",
			Args:    Args(cobra.ExactArgs(2)), ValidArgsFunction: t.completeSavepoint, RunE: t.run(t.savepointDispose),
		})
}

// savepointFlags are those of all commands that take a savepoint.
type savepointFlags struct {
	format, directory, id string
	noWait                bool
}

func (f *savepointFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.format, "format", "", "canonical: a folder of Parquet files that needs nothing else; native: refers to the checkpoint's objects (default: the job's savepoint_format, canonical)")
	cmd.Flags().StringVar(&f.directory, "directory", "", "URL of the bucket and folder for a canonical one (default: the job's savepoint_directory, the cluster's own bucket)")
	cmd.Flags().StringVar(&f.id, "id", "", "your name for this wish: repeated with the same one, it takes no second savepoint")
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "return as soon as it has begun")
}

func (f *savepointFlags) request() *wire.SavepointRequest {
	return &wire.SavepointRequest{Format: f.format, Directory: f.directory, Key: cmp.Or(f.id, requestKey())}
}

func (t *tree) savepointTriggerCommand() *cobra.Command {
	var flags savepointFlags
	cmd := &cobra.Command{
		Use:   "trigger JOB",
		Short: "Take a savepoint; the job goes on",
		Long: "Take a savepoint of a running job, and wait until it can be restored from. The job goes on meanwhile;\n" +
			"if the savepoint fails, the job does not notice.",
		Example: "  cairn savepoint trigger flights-k3x9qa\n" +
			"  cairn savepoint trigger flights-k3x9qa --format native\n" +
			"  cairn savepoint trigger flights-k3x9qa --directory s3://keep/flights",
		Args: Args(cobra.ExactArgs(1)), ValidArgsFunction: t.completeJob,
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			r, err := slowCall(ctx, c, beginLimit, "savepoint trigger", wire.ControlClient.TriggerSavepoint,
				&wire.TriggerSavepointRequest{Job: given[0], Savepoint: flags.request()})
			if err != nil {
				return err
			}
			return t.savepointTaken(ctx, c, "savepoint trigger", r.Savepoint, flags.noWait)
		}),
	}
	flags.add(cmd)
	return cmd
}

func (t *tree) savepointList(ctx context.Context, c *Client, given []string) error {
	req := &wire.ListSavepointsRequest{}
	if len(given) > 0 {
		req.Job = given[0]
	}
	r, err := call(ctx, c, "savepoint list", wire.ControlClient.ListSavepoints, req)
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(view(r))
	}
	if len(r.Savepoints) == 0 {
		_, err := fmt.Fprintln(t.stdout, "no savepoints; take one with: cairn savepoint trigger JOB")
		return err
	}
	var rows [][]string
	for _, s := range r.Savepoints {
		rows = append(rows, []string{s.Job, fmt.Sprint(s.Id), s.Status, s.Format, s.Trigger, timeText(s.BegunUnixMs), savepointSize(s), dash(s.Location), dash(s.Reason)})
	}
	return table(t.stdout, "JOB >ID STATUS FORMAT TRIGGER BEGUN >SIZE LOCATION REASON", rows)
}

// savepointSize is how much it takes in the store, once that is known.
func savepointSize(s *wire.Savepoint) string {
	if s.Status != "completed" {
		return "-"
	}
	return bytesText(s.Bytes)
}

func (t *tree) savepointShow(ctx context.Context, c *Client, given []string) error {
	s, err := findSavepoint(ctx, c, "savepoint show", given)
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(view(s))
	}
	fmt.Fprintf(t.stdout, "savepoint %d of job %s  %s\n", s.Id, s.Job, s.Status)
	fmt.Fprintf(t.stdout, "%s, %s, begun %s, ended %s\n", s.Format, s.Trigger, timeText(s.BegunUnixMs), timeText(s.EndedUnixMs))
	if s.Status == "completed" {
		rows := ""
		if s.Rows > 0 {
			rows = fmt.Sprintf(" in %s rows", countText(s.Rows))
		}
		fmt.Fprintf(t.stdout, "%s%s at %s\n", bytesText(s.Bytes), rows, s.Location)
	}
	if s.Reason != "" {
		fmt.Fprintf(t.stdout, "reason: %s\n", s.Reason)
	}
	for _, job := range s.NeededBy {
		fmt.Fprintf(t.stdout, "needed by job %s, which started from it\n", job)
	}
	return nil
}

// findSavepoint returns one of a job's savepoints.
func findSavepoint(ctx context.Context, c *Client, what string, given []string) (*wire.Savepoint, error) {
	id, err := savepointID(given[1])
	if err != nil {
		return nil, err
	}
	return savepointOf(ctx, c, what, given[0], id)
}

func savepointOf(ctx context.Context, c *Client, what, job string, id uint64) (*wire.Savepoint, error) {
	r, err := call(ctx, c, what, wire.ControlClient.ListSavepoints, &wire.ListSavepointsRequest{Job: job})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(r.Savepoints, func(s *wire.Savepoint) bool { return s.Id == id })
	if i < 0 {
		return nil, notFound("%s: job %s has no savepoint %d; cairn savepoint list %s names them all", what, job, id, job)
	}
	return r.Savepoints[i], nil
}

func (t *tree) savepointDispose(ctx context.Context, c *Client, given []string) error {
	id, err := savepointID(given[1])
	if err != nil {
		return err
	}
	_, err = call(ctx, c, "savepoint dispose", wire.ControlClient.DisposeSavepoint, &wire.DisposeSavepointRequest{Job: given[0], Savepoint: id})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(object{{"job", given[0]}, {"savepoint", id}})
	}
	_, err = fmt.Fprintf(t.stdout, "savepoint %d of job %s disposed of; what only it needs goes in the background\n", id, given[0])
	return err
}

func savepointID(s string) (uint64, error) {
	id, err := checkpointID(s)
	if err != nil {
		return 0, usagef("savepoint %q: give its number, as cairn savepoint list shows it", s)
	}
	return id, nil
}

// completeSavepoint offers jobs, then the job's savepoints.
func (t *tree) completeSavepoint(cmd *cobra.Command, given []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(given) != 1 {
		return t.completeJob(cmd, given, prefix)
	}
	return t.complete(cmd, func(ctx context.Context, c *Client) (found []cobra.Completion, err error) {
		r, err := call(ctx, c, "complete savepoint", wire.ControlClient.ListSavepoints, &wire.ListSavepointsRequest{Job: given[0]})
		for _, s := range r.GetSavepoints() {
			found = append(found, cobra.CompletionWithDesc(fmt.Sprint(s.Id), s.Status))
		}
		return found, err
	})
}
