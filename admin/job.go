package admin

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

func (t *tree) job() *cobra.Command {
	var maxBytes int64
	var worker string
	logs := &cobra.Command{
		Use:   "logs JOB",
		Short: "Show the end of what a job's processes printed, a panic's stack included",
		Args:  args(cobra.ExactArgs(1)),
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			return t.jobLogs(ctx, c, &wire.JobLogsRequest{Job: given[0], MaxBytes: maxBytes, Worker: worker})
		}),
	}
	logs.Flags().Int64Var(&maxBytes, "bytes", 64<<10, "how much of each worker's log, from its end")
	logs.Flags().StringVar(&worker, "worker", "", "only this worker's")
	return group("job", "Submit, look at and end jobs",
		t.jobSubmitCommand(),
		&cobra.Command{Use: "list", Short: "List all jobs, ended ones included", Args: args(cobra.NoArgs), RunE: t.run(t.jobList)},
		&cobra.Command{Use: "show JOB", Short: "Draw a job's graph, where each subtask runs, and its failures", Args: args(cobra.ExactArgs(1)), RunE: t.run(t.jobShow)},
		&cobra.Command{Use: "cancel JOB", Short: "End a job for good; its completed checkpoints stay", Args: args(cobra.ExactArgs(1)), RunE: t.run(t.jobCancel)},
		&cobra.Command{Use: "restart JOB", Short: "Start a job's next attempt now, from its newest checkpoint", Args: args(cobra.ExactArgs(1)), RunE: t.run(t.jobRestart)},
		logs)
}

func (t *tree) jobList(ctx context.Context, c *Client, _ []string) error {
	var r *wire.ListJobsResponse
	err := c.Do(ctx, "job list", func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.ListJobs(ctx, &wire.ListJobsRequest{})
		return err
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(r)
	}
	var rows [][]string
	for _, j := range r.Jobs {
		checkpoint := "-"
		if j.LastCheckpoint > 0 {
			checkpoint = fmt.Sprintf("%d, %s", j.LastCheckpoint, agoText(j.LastCheckpointUnixMs))
		}
		rows = append(rows, []string{j.Id, j.Status, fmt.Sprint(j.Attempt), fmt.Sprint(j.Restarts), fmt.Sprint(j.Parallelism), agoText(j.SubmittedUnixMs), checkpoint, dash(j.Reason)})
	}
	return table(t.stdout, "JOB STATUS ATTEMPT RESTARTS PARALLELISM SUBMITTED LAST-CHECKPOINT REASON", rows)
}

func (t *tree) jobCancel(ctx context.Context, c *Client, given []string) error {
	var r *wire.CancelJobResponse
	key := requestKey()
	err := c.Do(ctx, "cancel job "+given[0], func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.CancelJob(ctx, &wire.CancelJobRequest{Job: given[0], Key: key})
		return err
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(r)
	}
	fmt.Fprintf(t.stdout, "job %s is %s\n", given[0], r.Status)
	return nil
}

func (t *tree) jobRestart(ctx context.Context, c *Client, given []string) error {
	var r *wire.RestartJobResponse
	key := requestKey()
	err := c.Do(ctx, "restart job "+given[0], func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.RestartJob(ctx, &wire.RestartJobRequest{Job: given[0], Key: key})
		return err
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(r)
	}
	fmt.Fprintf(t.stdout, "job %s: attempt %d ended, the next one starts from the newest checkpoint\n", given[0], r.Attempt)
	return nil
}

func (t *tree) jobLogs(ctx context.Context, c *Client, req *wire.JobLogsRequest) error {
	var r *wire.JobLogsResponse
	err := c.Do(ctx, "logs of job "+req.Job, func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.JobLogs(ctx, req)
		return err
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		type line struct {
			Worker string `json:"worker"`
			Text   string `json:"text"`
			Error  string `json:"error,omitempty"`
		}
		logs := []line{}
		for _, l := range r.Logs {
			logs = append(logs, line{l.Worker, string(l.Text), l.Error})
		}
		return t.printJSON(map[string]any{"logs": logs})
	}
	for _, l := range r.Logs {
		fmt.Fprintf(t.stdout, "==> worker %s <==\n", l.Worker)
		if l.Error != "" {
			fmt.Fprintf(t.stdout, "(%s)\n", l.Error)
		}
		if _, err := t.stdout.Write(l.Text); err != nil {
			return err
		}
		if n := len(l.Text); n > 0 && l.Text[n-1] != '\n' {
			fmt.Fprintln(t.stdout)
		}
	}
	return nil
}

// requestKey makes a request safe to repeat.
func requestKey() string { return string(dataflow.NewIncarnation()) }

// rawJSON is b as JSON inside a larger document, or null.
func rawJSON(b []byte) json.RawMessage {
	if !json.Valid(b) {
		return json.RawMessage("null")
	}
	return b
}
