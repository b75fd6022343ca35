package admin

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

func (t *tree) job() *cobra.Command {
	oneJob := func(use, short string, work func(context.Context, *Client, []string) error) *cobra.Command {
		return &cobra.Command{Use: use + " JOB", Short: short, Args: Args(cobra.ExactArgs(1)), ValidArgsFunction: t.completeJob, RunE: t.run(work)}
	}
	return group("job", "Submit, look at and end jobs",
		t.jobSubmitCommand(),
		t.jobPlanCommand(),
		t.jobUpgradeCommand(),
		t.jobForkCommand(),
		&cobra.Command{Use: "list", Short: "List all jobs, ended ones included", Args: Args(cobra.NoArgs), RunE: t.run(t.jobList)},
		oneJob("show", "Draw a job's graph, where each subtask runs, its rates and its failures", t.jobShow),
		t.jobStopCommand(),
		t.jobCancelCommand(),
		t.jobRestartCommand(),
		t.jobSetCommand(),
		t.jobLogsCommand())
}

func (t *tree) jobLogsCommand() *cobra.Command {
	var maxBytes int64
	var worker string
	cmd := &cobra.Command{
		Use:               "logs JOB",
		Short:             "Show the end of what a job's processes printed, a panic's stack included",
		Args:              Args(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeJob,
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			if maxBytes < 1 || maxBytes > logBytesMax {
				return usagef("--bytes %d: use 1 to %d", maxBytes, int64(logBytesMax))
			}
			return t.jobLogs(ctx, c, &wire.JobLogsRequest{Job: given[0], MaxBytes: maxBytes, Worker: worker})
		}),
	}
	cmd.Flags().Int64Var(&maxBytes, "bytes", 64<<10, "how much of each worker's log, from its end")
	cmd.Flags().StringVar(&worker, "worker", "", "only this worker's")
	return cmd
}

func (t *tree) jobList(ctx context.Context, c *Client, _ []string) error {
	r, err := call(ctx, c, "job list", wire.ControlClient.ListJobs, &wire.ListJobsRequest{})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(view(r))
	}
	var rows [][]string
	for _, j := range r.Jobs {
		rows = append(rows, []string{j.Id, j.Status, fmt.Sprint(j.Parallelism), fmt.Sprint(j.Attempt), fmt.Sprint(j.Restarts), agoText(j.SubmittedUnixMs), lastCheckpoint(j), dash(j.Reason)})
	}
	return table(t.stdout, "JOB STATUS >PARALLELISM >ATTEMPT >RESTARTS SUBMITTED LAST-CHECKPOINT REASON", rows)
}

func lastCheckpoint(j *wire.JobSummary) string {
	switch {
	case j.LastCheckpoint == 0:
		return "-"
	case j.LastCheckpointUnixMs == 0: // older than the history
		return fmt.Sprint(j.LastCheckpoint)
	}
	return fmt.Sprintf("%d, %s", j.LastCheckpoint, agoText(j.LastCheckpointUnixMs))
}

func (t *tree) jobCancel(ctx context.Context, c *Client, given []string) error {
	r, err := call(ctx, c, "job cancel", wire.ControlClient.CancelJob, &wire.CancelJobRequest{Job: given[0], Key: requestKey()})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(object{{"job", given[0]}, {"status", r.Status}})
	}
	_, err = fmt.Fprintf(t.stdout, "job %s is %s\n", given[0], r.Status)
	return err
}

const (
	// logsLimit is above the 5 s that the leader gives the workers.
	logsLimit = 10 * time.Second
	// logBytesMax keeps the answer for a wide job below what a client takes.
	logBytesMax = 1 << 20
)

func (t *tree) jobLogs(ctx context.Context, c *Client, req *wire.JobLogsRequest) error {
	r, err := slowCall(ctx, c, logsLimit, "job logs", wire.ControlClient.JobLogs, req)
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(view(r))
	}
	for i, l := range r.Logs {
		if i > 0 {
			fmt.Fprintln(t.stdout)
		}
		if err := printLog(t.stdout, l); err != nil {
			return err
		}
	}
	return nil
}

func printLog(w io.Writer, l *wire.WorkerLog) error {
	fmt.Fprintf(w, "==> worker %s <==\n", l.Worker)
	if l.Error != "" {
		fmt.Fprintf(w, "(no log: %s)\n", l.Error)
	}
	if n := len(l.Text); n > 0 && l.Text[n-1] != '\n' {
		l.Text = append(l.Text, '\n')
	}
	_, err := w.Write(l.Text)
	return err
}

// requestKey makes a request safe to repeat.
func requestKey() string { return string(dataflow.NewIncarnation()) }
