package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/wire"
)

// Execute runs the command that root's arguments name. Whatever is wrong before
// a command's own work begins is a UsageError; nothing is printed for an error.
func Execute(ctx context.Context, root *cobra.Command) error {
	working := false
	root.PersistentPreRun = func(*cobra.Command, []string) { working = true }
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil && completion != root {
		Group(completion) // for a shell that it does not know
	}
	err := root.ExecuteContext(ctx)
	if err != nil && !working && ExitCode(err) != ExitUsage {
		return &UsageError{err}
	}
	return err
}

// Args makes cobra's check of arguments say how the command is used.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return usagef("%s: %w; usage: %s", cmd.CommandPath(), err, cmd.UseLine())
		}
		return nil
	}
}

// Group makes c a command that only holds others: alone it prints its help, and
// an argument is a command that it does not have.
func Group(c *cobra.Command, sub ...*cobra.Command) *cobra.Command {
	c.Args = func(cmd *cobra.Command, given []string) error {
		if len(given) > 0 {
			return noCommand(cmd, given[0])
		}
		return nil
	}
	c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	c.AddCommand(sub...)
	return c
}

func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	return Group(&cobra.Command{Use: use, Short: short}, sub...)
}

func noCommand(parent *cobra.Command, name string) error {
	path := parent.CommandPath()
	if parent.SuggestionsMinimumDistance <= 0 {
		parent.SuggestionsMinimumDistance = 2
	}
	if near := parent.SuggestionsFor(name); len(near) > 0 {
		return usagef("%s has no command %q: did you mean %s? See %s --help", path, name, strings.Join(near, " or "), path)
	}
	return usagef("%s has no command %q: see %s --help", path, name, path)
}

// helpCommand is cobra's, except that help for what does not exist is an error.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND...]",
		Short: "Help about a command",
		RunE: func(_ *cobra.Command, given []string) error {
			found, rest, err := root.Find(given)
			if err != nil {
				return &UsageError{err}
			}
			if len(rest) > 0 {
				return noCommand(found, rest[0])
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// completeTimeout is as long as a person waits for a completion.
const completeTimeout = time.Second

// completeOutput offers the output formats.
func completeOutput(c *cobra.Command) {
	formats := cobra.FixedCompletions([]cobra.Completion{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)
	if err := c.RegisterFlagCompletionFunc("output", formats); err != nil {
		panic(err) // the flag was not declared: a mistake in this package
	}
}

// completeJob offers the cluster's jobs; nothing if it does not answer soon.
func (t *tree) completeJob(cmd *cobra.Command, given []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return t.complete(cmd, func(ctx context.Context, c *Client) (found []cobra.Completion, err error) {
		r, err := call(ctx, c, "complete job", wire.ControlClient.ListJobs, &wire.ListJobsRequest{})
		for _, j := range r.GetJobs() {
			found = append(found, cobra.CompletionWithDesc(j.Id, j.Status))
		}
		return found, err
	})
}

// completeCheckpoint offers jobs, then the job's checkpoints.
func (t *tree) completeCheckpoint(cmd *cobra.Command, given []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(given) != 1 {
		return t.completeJob(cmd, given, prefix)
	}
	return t.complete(cmd, func(ctx context.Context, c *Client) (found []cobra.Completion, err error) {
		r, err := call(ctx, c, "complete checkpoint", wire.ControlClient.ListCheckpoints, &wire.ListCheckpointsRequest{Job: given[0]})
		for _, k := range r.GetCheckpoints() {
			found = append(found, cobra.CompletionWithDesc(fmt.Sprint(k.Id), k.Status))
		}
		return found, err
	})
}

func (t *tree) complete(cmd *cobra.Command, ask func(context.Context, *Client) ([]cobra.Completion, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	failed := cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
	c, err := t.dial()
	if err != nil {
		return nil, failed
	}
	defer c.Close()
	c.Timeout = completeTimeout
	found, err := ask(cmd.Context(), c)
	if err != nil {
		return nil, failed
	}
	return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
