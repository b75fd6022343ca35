package admin

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

// gcTimeout is how long a person waits for a listing of the whole bucket.
const gcTimeout = 10 * time.Minute

func (t *tree) gc() *cobra.Command {
	var dry bool
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Delete objects that nothing needs, or list them",
		Long: "Delete the objects of the cluster's bucket that nothing needs and nothing ever will: what processes, leaders and\n" +
			"workers wrote that Raft has ended, and no checkpoint, savepoint or job refers to. The cluster does so by itself, at its\n" +
			"own pace; this does it now. What a living process may still name is left alone, however old, and what is younger than\n" +
			"--grace; an artifact always for its first hour.",
		Example: "  cairn gc --dry-run\n  cairn gc --grace 1h",
		Args:    Args(cobra.NoArgs),
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "list what would be deleted, with age, size and origin, and delete nothing")
	cmd.Flags().DurationVar(&grace, "grace", time.Minute, "leave alone what is younger")
	cmd.RunE = t.run(func(ctx context.Context, c *Client, _ []string) error {
		if grace < 0 {
			return usagef("--grace %v: use a time of 0 or more", grace)
		}
		if !cmd.Flags().Changed("timeout") {
			c.Timeout = gcTimeout
		}
		r, err := call(ctx, c, "gc", wire.ControlClient.CollectGarbage, &wire.CollectGarbageRequest{DryRun: dry, GraceMs: grace.Milliseconds()})
		if err != nil {
			return err
		}
		if t.output == "json" {
			return t.printJSON(append(object{{"dry_run", dry}}, view(r)...))
		}
		return printGarbage(t.stdout, r, dry)
	})
	return cmd
}

func printGarbage(w io.Writer, r *wire.CollectGarbageResponse, dry bool) error {
	var rows [][]string
	for _, o := range r.Objects {
		what := "garbage"
		if o.Kept {
			what = "left"
		}
		rows = append(rows, []string{what, strings.TrimSuffix(agoText(o.ModifiedUnixMs), " ago"), bytesText(o.Size), o.Origin, o.Why, o.Key})
	}
	if len(rows) > 0 {
		if err := table(w, "WHAT >AGE >SIZE ORIGIN WHY OBJECT", rows); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	done := fmt.Sprintf("%s deleted, %s", plural(r.Deleted, "object"), bytesText(r.Bytes))
	if dry {
		done = fmt.Sprintf("%s of garbage, %s; nothing was deleted", plural(r.Garbage, "object"), bytesText(r.Bytes))
	}
	_, err := fmt.Fprintf(w, "%s; %s left, which may still be needed or are too young\n", done, plural(r.Left, "object"))
	return err
}
