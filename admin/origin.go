package admin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// originFlags say what a job starts from.
type originFlags struct {
	from             string
	claim, noClaim   bool
	allowNonRestored bool
}

func (f *originFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.from, "from", "", "start from JOB (its newest checkpoint or savepoint), JOB/N, or the URL of a savepoint's folder or of a metadata object")
	fl.BoolVar(&f.claim, "claim", false, "the new job owns what it starts from, which is deleted when it needs it no more")
	fl.BoolVar(&f.noClaim, "no-claim", false, "what it starts from stays its owner's (the default)")
	fl.BoolVar(&f.allowNonRestored, "allow-non-restored-state", false, "drop the state of operators that the program does not have")
	cmd.MarkFlagsMutuallyExclusive("claim", "no-claim")
}

// origin is what the flags name; nil without --from.
func (f *originFlags) origin() (*wire.Origin, error) {
	if f.from == "" {
		if f.claim || f.noClaim || f.allowNonRestored {
			return nil, usagef("--claim, --no-claim and --allow-non-restored-state need --from")
		}
		return nil, nil
	}
	o := &wire.Origin{Claim: f.claim, AllowNonRestoredState: f.allowNonRestored}
	if strings.Contains(f.from, "://") {
		o.Path = f.from
		return o, nil
	}
	job, number, numbered := strings.Cut(f.from, "/")
	o.Job = job
	if !numbered {
		return o, nil
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || n == 0 || job == "" {
		return nil, usagef("--from %s: want JOB, JOB/N with the number of a checkpoint or savepoint, or a URL such as file:///backups/savepoint-7", f.from)
	}
	o.Checkpoint = n
	return o, nil
}

func (t *tree) jobForkCommand() *cobra.Command {
	req := &wire.ForkJobRequest{}
	cmd := &cobra.Command{
		Use:   "fork JOB",
		Short: "Start another job of the same program on a checkpoint of a job, which goes on",
		Long: "Start another job of the same program, with the same arguments and options, on a\n" +
			"checkpoint of a job. Nothing is copied: the checkpoint's objects are kept until the new\n" +
			"job has its own. The job itself goes on. Sinks that write to one place write there twice.",
		Example:           "  cairn job fork flights-k3x9qa\n  cairn job fork flights-k3x9qa --from 41 --name what-if --parallelism 2",
		Args:              Args(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeJob,
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			req.Job = given[0]
			return t.jobFork(ctx, c, req)
		}),
	}
	fl := cmd.Flags()
	fl.Uint64Var(&req.Checkpoint, "from", 0, "checkpoint or savepoint to start from (default: the newest)")
	fl.StringVar(&req.Name, "name", "", "name of the new job (default: the job's)")
	fl.Int32Var(&req.Parallelism, "parallelism", 0, "parallelism of operators that do not fix their own (default: as the job)")
	return cmd
}

func (t *tree) jobFork(ctx context.Context, c *Client, req *wire.ForkJobRequest) error {
	if req.Parallelism < 0 {
		return usagef("--parallelism %d: use 1 or more", req.Parallelism)
	}
	if req.Name != "" {
		if err := dataflow.CheckJobName(req.Name); err != nil {
			return usagef("%w; choose another with --name", err)
		}
	}
	req.Key = requestKey()
	r, err := slowCall(ctx, c, planLimit, "fork job "+req.Job, wire.ControlClient.ForkJob, req)
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(object{{"job", r.Job}, {"parent", req.Job}})
	}
	_, err = fmt.Fprintf(t.stdout, "job %s forked from %s; see it with: cairn job show %s\n", r.Job, req.Job, r.Job)
	return err
}
