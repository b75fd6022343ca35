package admin

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

func (t *tree) jobRestartCommand() *cobra.Command {
	var from uint64
	cmd := &cobra.Command{
		Use:   "restart JOB",
		Short: "Start a job's next attempt now, from its newest checkpoint",
		Long: "Start a job's next attempt now, from its newest checkpoint.\n\n" +
			"A job that is suspended, because an object that its newest checkpoint needs is missing or damaged, is tried again;\n" +
			"with --from-checkpoint it goes on from an older one instead. The newer ones are then given up for good, and what sinks\n" +
			"have published since comes once more: job show names them before.",
		Example:           "  cairn job restart flights-k3x9qa\n  cairn job restart flights-k3x9qa --from-checkpoint 41",
		Args:              Args(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeJob,
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			return t.jobRestart(ctx, c, given[0], from)
		}),
	}
	cmd.Flags().Uint64Var(&from, "from-checkpoint", 0, "for a suspended job: go on from this older checkpoint and give up the newer ones")
	return cmd
}

func (t *tree) jobRestart(ctx context.Context, c *Client, job string, from uint64) error {
	request := &wire.RestartJobRequest{Job: job, Key: requestKey(), FromCheckpoint: from}
	r, err := call(ctx, c, "job restart", wire.ControlClient.RestartJob, request)
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(append(object{{"job", job}}, view(r)...))
	}
	start := "its newest checkpoint"
	if from != 0 {
		start = fmt.Sprintf("checkpoint %d", r.Checkpoint)
	}
	if _, err := fmt.Fprintf(t.stdout, "job %s starts attempt %d from %s\n", job, r.Attempt, start); err != nil {
		return err
	}
	return printGivenUp(t.stdout, r)
}

// printGivenUp tells what going on from an older checkpoint costs.
func printGivenUp(w io.Writer, r *wire.RestartJobResponse) error {
	if len(r.Dropped) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "given up: %s %s\n", noun(len(r.Dropped), "checkpoint"), numbers(r.Dropped))
	for _, s := range r.Again {
		if err == nil {
			_, err = fmt.Fprintf(w, "sink %s publishes once more what came after checkpoint %d%s\n", s.Uid, r.Checkpoint, publishedUpTo(s))
		}
	}
	return err
}

// publishedUpTo ends a sentence about what a sink has published.
func publishedUpTo(s *wire.PublishedSink) string {
	if s.UpTo == 0 {
		return ", up to the failure"
	}
	return fmt.Sprintf(", up to checkpoint %d", s.UpTo)
}

// damageLines tell what of a suspended job is damaged, and the ways out.
func damageLines(job string, d *wire.Damage) []string {
	if d == nil {
		return nil
	}
	var lines []string
	for _, o := range d.Objects {
		line := fmt.Sprintf("damaged: %s, ", o.Key)
		if len(o.Checkpoints) == 0 {
			line += "which no retained checkpoint needs"
		} else {
			line += fmt.Sprintf("needed by %s %s", noun(len(o.Checkpoints), "checkpoint"), numbers(o.Checkpoints))
		}
		lines = append(lines, line)
	}
	if d.NewestWhole == 0 {
		lines = append(lines, "no retained checkpoint can do without it")
	} else {
		lines = append(lines, fmt.Sprintf("checkpoint %d is the newest that needs none of it; to go on from there: cairn job restart %s --from-checkpoint %d", d.NewestWhole, job, d.NewestWhole))
		for _, s := range d.Published {
			lines = append(lines, fmt.Sprintf("  sink %s would publish once more what came after checkpoint %d%s", s.Uid, d.NewestWhole, publishedUpTo(s)))
		}
	}
	return append(lines, fmt.Sprintf("to try again when the object is back: cairn job restart %s; to give up: cairn job cancel %s", job, job))
}

func noun(n int, one string) string {
	if n == 1 {
		return one
	}
	return one + "s"
}

// numbers is a list for a sentence: 7, 8 and 9.
func numbers(ids []uint64) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = fmt.Sprint(id)
	}
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
