package admin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

func (t *tree) checkpointWhyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "why OBJECT",
		Short: "Tell why an object of the bucket exists",
		Long: "Tell why an object of the cluster's bucket exists: every checkpoint, savepoint and job that needs it, or that nothing\n" +
			"does, and what becomes of it. OBJECT is its key, as checkpoint show and gc name it, or its URL.",
		Example: "  cairn checkpoint why c0ffee00c0ffee00/jobs/flights-k3x9qa/1/aaaaaaaaaaaaaaa1/000000000007.0",
		Args:    Args(cobra.ExactArgs(1)), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: t.run(t.checkpointWhy),
	}
}

func (t *tree) checkpointWhy(ctx context.Context, c *Client, given []string) error {
	r, err := call(ctx, c, "checkpoint why", wire.ControlClient.WhyObject, &wire.WhyObjectRequest{Key: given[0]})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(append(object{{"key", given[0]}}, view(r)...))
	}
	of := ""
	if r.Job != "" {
		of = " of job " + r.Job
	}
	fmt.Fprintf(t.stdout, "%s%s\n", r.Kind, of)
	if len(r.Reasons) == 0 {
		_, err := fmt.Fprintf(t.stdout, "nothing needs it: %s\n", r.Fate)
		return err
	}
	var rows [][]string
	for _, reason := range r.Reasons {
		checkpoint := "-"
		if reason.Checkpoint != 0 {
			checkpoint = fmt.Sprint(reason.Checkpoint)
		}
		rows = append(rows, []string{reason.Job, checkpoint, reason.Why})
	}
	return table(t.stdout, "JOB >CHECKPOINT WHY", rows)
}
