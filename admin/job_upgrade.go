package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

// upgradePoll is how often the cluster is asked how an upgrade stands: soon enough for a person.
const upgradePoll = 200 * time.Millisecond

func (t *tree) jobUpgradeCommand() *cobra.Command {
	var f submitFlags
	var within time.Duration
	var allow, noWait bool
	cmd := &cobra.Command{
		Use:   "upgrade JOB PACKAGE|EXECUTABLE [-- ARGUMENT...]",
		Short: "Put another program in a running job's place; it goes back by itself if that does not become healthy",
		Long: "Put another program in a running job's place. The program is matched with the job's newest checkpoint first, and\n" +
			"refused before anything stops. Then a savepoint is taken and restored into the new program. It is healthy when it has\n" +
			"completed a checkpoint; if it has not in time, or three of its attempts fail, the old program goes on from the same\n" +
			"savepoint, and nothing was published twice. The job keeps the parallelism and the options that it was submitted with\n" +
			"or that were set since, unless they are given here; its arguments must be given again.\n" +
			"Exit code 0: the new program runs; 1: the old one does.",
		Example: "  cairn job upgrade flights-k3x9qa ./flights -- --out file:///tmp/out\n" +
			"  cairn job upgrade flights-k3x9qa ./flights --healthy-within 5m --parallelism 8",
		Args: Args(func(cmd *cobra.Command, given []string) error {
			if n := cmd.ArgsLenAtDash(); n == 2 || n < 0 && len(given) == 2 {
				return nil
			}
			return fmt.Errorf("name a job and one package or executable; the job's own arguments come after --")
		}),
		ValidArgsFunction: t.completeJob,
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			if within <= 0 {
				return usagef("--healthy-within %v: use a positive time", within)
			}
			req := &wire.UpgradeJobRequest{
				Job: given[0], Args: given[2:], Key: requestKey(), AllowNonRestoredState: allow, HealthyWithinMs: within.Milliseconds(),
			}
			return t.jobUpgrade(ctx, c, f, req, given[1], noWait)
		}),
	}
	f.add(cmd)
	cmd.Flags().Lookup("parallelism").Usage = "parallelism of operators that do not fix their own (default: the job's)"
	cmd.Flags().DurationVar(&within, "healthy-within", time.Minute, "go back if the new program has not completed a checkpoint after this long")
	cmd.Flags().BoolVar(&allow, "allow-non-restored-state", false, "let go of state that the program has no place for")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return when the upgrade has begun")
	return cmd
}

func (t *tree) jobUpgrade(ctx context.Context, c *Client, f submitFlags, req *wire.UpgradeJobRequest, what string, noWait bool) error {
	if f.name != "" {
		return usagef("--name %s: a job keeps its name: leave it away", f.name)
	}
	f.name = nameOf(what)
	if err := f.check(); err != nil {
		return err
	}
	name := "upgrade job " + req.Job
	stands := ""
	err := t.sendProgram(ctx, c, f, what, func(p *program, artifact *artifact, options []byte, progress *progress) error {
		req.ArtifactSha256, req.Options, req.Platform, req.Parallelism = artifact.sum, options, p.platform, f.parallelism
		progress.say("planning job " + req.Job)
		if _, err := withArtifact(ctx, c, name, wire.ControlClient.UpgradeJob, req, artifact, progress); err != nil {
			return err
		}
		for stands == "" || upgrading(stands) && !noWait {
			r, err := call(ctx, c, name, wire.ControlClient.GetJob, &wire.GetJobRequest{Job: req.Job})
			if err != nil {
				return err
			}
			if stands = r.Upgrade; noWait || !upgrading(stands) {
				return nil
			}
			progress.say(fmt.Sprintf("%s: %s", name, stands))
			if err := sleep(ctx, upgradePoll); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.tellUpgrade(req.Job, stands)
}

// upgrading tells whether an upgrade that stands so is not over.
func upgrading(stands string) bool {
	return strings.HasPrefix(stands, "saving: ") || strings.HasPrefix(stands, "trying: ")
}

// tellUpgrade prints how an upgrade ended, which is an error unless the new program is in place.
func (t *tree) tellUpgrade(job, stands string) error {
	state, text, _ := strings.Cut(stands, ": ")
	if state == "rolled back" || state == "failed" {
		return fmt.Errorf("upgrade job %s: %s", job, stands)
	}
	if t.output == "json" {
		return t.printJSON(object{{"job", job}, {"upgrade", state}, {"detail", text}})
	}
	_, err := fmt.Fprintf(t.stdout, "upgrade of job %s: %s\n", job, stands)
	return err
}
