package admin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

// checkpointPinCommand is pin, or unpin.
func (t *tree) checkpointPinCommand(verb string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     verb + " JOB CHECKPOINT",
		Short:   "Keep a checkpoint until it is unpinned, whatever retention says",
		Long:    "Keep a checkpoint until it is unpinned, whatever retention says. It is kept besides the newest ones that retained asks for.",
		Example: "  cairn checkpoint " + verb + " flights-k3x9qa 41",
		Args:    Args(cobra.ExactArgs(2)), ValidArgsFunction: t.completeCheckpoint,
	}
	if verb == "unpin" {
		cmd.Short = "Let a pinned checkpoint go"
		cmd.Long = "Let a pinned checkpoint go: retention drops it at once if it is older than what the job retains."
	}
	cmd.RunE = t.run(func(ctx context.Context, c *Client, given []string) error {
		id, err := checkpointID(given[1])
		if err != nil {
			return err
		}
		request := &wire.PinCheckpointRequest{Job: given[0], Checkpoint: id, Unpin: verb == "unpin"}
		if _, err := call(ctx, c, "checkpoint "+verb, wire.ControlClient.PinCheckpoint, request); err != nil {
			return err
		}
		if t.output == "json" {
			return t.printJSON(object{{"job", given[0]}, {"checkpoint", id}, {"pinned", verb == "pin"}})
		}
		_, err = fmt.Fprintf(t.stdout, "checkpoint %d of job %s is %sned\n", id, given[0], verb)
		return err
	})
	return cmd
}
