package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

func (t *tree) jobSetCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "set JOB [OPTION=VALUE...]",
		Short: "Change a job's options about checkpoints and restarts while it runs; alone: show all options",
		Long: "Change a job's options about checkpoints and restarts while it runs, without a restart.\n\n" +
			"Alone it shows all of the job's options and which can be changed so; the others need the job to be stopped and\n" +
			"submitted again. Names are those of the options' JSON, durations are such as 500ms, sizes such as 64MiB, and 0 is\n" +
			"the default. A file holds a JSON object of options; what -o json prints is one.",
		Example: "  cairn job set flights-k3x9qa\n" +
			"  cairn job set flights-k3x9qa checkpoint_interval=1m checkpoint.max_age=10m\n" +
			"  cairn job set flights-k3x9qa -o json > options.json; cairn job set flights-k3x9qa --file options.json",
		Args:              Args(cobra.MinimumNArgs(1)),
		ValidArgsFunction: t.completeSetting,
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			return t.jobSet(ctx, c, given[0], given[1:], file)
		}),
	}
	cmd.Flags().StringVar(&file, "file", "", "JSON object of options; those after it on the command line win")
	return cmd
}

// jobSet sends what is given, checked as far as that can be done here.
func (t *tree) jobSet(ctx context.Context, c *Client, job string, given []string, file string) error {
	if file != "" {
		document, err := os.ReadFile(file)
		if err != nil {
			return usagef("options: %w", err)
		}
		fromFile, err := assignments(document)
		if err != nil {
			return usagef("%s: %w", file, err)
		}
		given = append(fromFile, given...)
	}
	var o dataflow.Options
	var names []setting
	for _, text := range given {
		s, err := assign(&o, text)
		if err != nil {
			return err
		}
		names = append(names, s)
	}
	req := &wire.SetOptionsRequest{Job: job}
	if len(names) > 0 {
		if err := o.Validate(); err != nil {
			return &UsageError{err}
		}
		options, err := wanted(names)
		if err != nil {
			return err
		}
		req.Options, req.Key = options, requestKey()
	}
	r, err := call(ctx, c, "job set", wire.ControlClient.SetOptions, req)
	if err != nil {
		return err
	}
	return t.printOptions(job, r.Options, names)
}

// printOptions prints those that were set, or all.
func (t *tree) printOptions(job string, document []byte, set []setting) error {
	var o dataflow.Options
	if err := json.Unmarshal(document, &o); err != nil {
		return fmt.Errorf("job set: the options that came back: %w", err)
	}
	all := settingsOf(&o)
	if t.output == "json" {
		return t.printJSON(nested(all))
	}
	if len(set) == 0 {
		var rows [][]string
		for _, s := range all {
			change := "needs a restart"
			if s.live() {
				change = "while it runs"
			}
			rows = append(rows, []string{s.name, dash(s.text()), change})
		}
		return table(t.stdout, "OPTION VALUE CHANGES", rows)
	}
	fmt.Fprintf(t.stdout, "job %s goes on with\n", job)
	for _, s := range all {
		for _, given := range set {
			if given.name == s.name {
				fmt.Fprintf(t.stdout, "  %s=%s\n", s.name, s.text())
				break
			}
		}
	}
	return nil
}

// completeSetting offers jobs, then the names of options that a running job takes.
func (t *tree) completeSetting(cmd *cobra.Command, given []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(given) == 0 {
		return t.completeJob(cmd, given, prefix)
	}
	var o dataflow.Options
	var names []cobra.Completion
	for _, s := range settingsOf(&o) {
		if s.live() {
			names = append(names, s.name+"=")
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
