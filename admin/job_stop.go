package admin

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

func (t *tree) jobStopCommand() *cobra.Command {
	var flags savepointFlags
	var drain, savepoint bool
	cmd := &cobra.Command{
		Use:   "stop JOB",
		Short: "End a job with a savepoint; everything up to it is published",
		Long: "End a job with a savepoint. A stop always takes one: the sources read no further, the sinks publish\n" +
			"everything up to it, and nothing is lost or repeated by a job that starts from it. With --drain the\n" +
			"data ends first: all timers fire and all windows close, as at the end of the input.\n\n" +
			"If the savepoint fails the job runs on; after --drain it restarts from its last checkpoint.",
		Example: "  cairn job stop flights-k3x9qa\n" +
			"  cairn job stop flights-k3x9qa --drain\n" +
			"  cairn job stop flights-k3x9qa --savepoint --format native",
		Args: Args(cobra.ExactArgs(1)), ValidArgsFunction: t.completeJob,
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			if !savepoint {
				return usagef("a stop always takes a savepoint: to end a job without one use cairn job cancel %s", given[0])
			}
			return t.jobStop(ctx, c, "job stop", &wire.StopJobRequest{Job: given[0], Savepoint: flags.request(), Drain: drain}, flags.noWait)
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&drain, "drain", false, "end the data first: all timers fire and all windows close")
	cmd.Flags().BoolVar(&savepoint, "savepoint", true, "a stop always takes a savepoint; here for those who are used to saying so")
	return cmd
}

func (t *tree) jobCancelCommand() *cobra.Command {
	var flags savepointFlags
	var savepoint bool
	cmd := &cobra.Command{
		Use:   "cancel JOB",
		Short: "End a job for good; its completed checkpoints stay",
		Long: "End a job for good. With --savepoint it ends with the completion of one; if that fails, the job runs on.\n" +
			"The other flags are the savepoint's.",
		Example: "  cairn job cancel flights-k3x9qa\n" +
			"  cairn job cancel flights-k3x9qa --savepoint",
		Args: Args(cobra.ExactArgs(1)), ValidArgsFunction: t.completeJob,
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			if !savepoint {
				if flags != (savepointFlags{}) {
					return usagef("--format, --directory, --id and --no-wait are a savepoint's: add --savepoint, or leave them away")
				}
				return t.jobCancel(ctx, c, given)
			}
			return t.jobStop(ctx, c, "job cancel", &wire.StopJobRequest{Job: given[0], Savepoint: flags.request(), Cancel: true}, flags.noWait)
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&savepoint, "savepoint", false, "take a savepoint first, and cancel the job with it")
	return cmd
}

// jobStop ends a job with a savepoint, and waits for both.
func (t *tree) jobStop(ctx context.Context, c *Client, what string, req *wire.StopJobRequest, noWait bool) error {
	r, err := slowCall(ctx, c, beginLimit, what, wire.ControlClient.StopJob, req)
	if err != nil {
		return err
	}
	s, err := t.awaitSavepoint(ctx, c, what, r.Savepoint, noWait)
	if err != nil {
		return err
	}
	ended := "stopping"
	if !noWait {
		if ended, err = t.awaitEnd(ctx, c, what, req.Job); err != nil {
			return err
		}
	}
	if t.output == "json" {
		return t.printJSON(object{{"job", req.Job}, {"status", ended}, {"savepoint", view(s)}})
	}
	fmt.Fprintf(t.stdout, "job %s is %s\n", req.Job, ended)
	return t.tellSavepoint(s)
}

// awaitEnd waits until a job that is ending has ended, and returns how.
func (t *tree) awaitEnd(ctx context.Context, c *Client, what, job string) (string, error) {
	p := newProgress(t.stderr)
	defer p.end()
	for {
		r, err := call(ctx, c, what, wire.ControlClient.ListJobs, &wire.ListJobsRequest{})
		if err != nil {
			return "", err
		}
		i := slices.IndexFunc(r.Jobs, func(j *wire.JobSummary) bool { return j.Id == job })
		if i < 0 {
			return "", notFound("%s: no job %s", what, job)
		}
		switch s := r.Jobs[i].Status; s {
		case "finished", "cancelled", "failed":
			return s, nil
		default:
			p.say(fmt.Sprintf("job %s: %s, its sinks publish what is left", job, s))
		}
		if err := sleep(ctx, savepointPoll); err != nil {
			return "", err
		}
	}
}
