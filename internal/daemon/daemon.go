//go:build unix

// Package daemon is the command line that the controller and the worker have
// in common: flags, a YAML file with the same names, the log, the exit code.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/cairnstream/cairn/internal/build"
	"github.com/cairnstream/cairn/internal/lifeline"
)

// UsageError is a wrong command line or configuration: nothing was started.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }
func (e UsageError) Unwrap() error { return e.Err }

// Program is a daemon's own part of its command line.
type Program struct {
	Name, Short string
	// Flags adds the daemon's own flags.
	Flags func(*pflag.FlagSet)
	// Start checks the configuration, with a UsageError if it is wrong, and
	// runs the daemon until ctx ends.
	Start func(ctx context.Context, log *slog.Logger) error
}

// Main runs the program and returns its exit code: 2 for a UsageError and 1
// for what failed later, so that a supervisor knows when starting again is of no
// use. SIGTERM and an interrupt end the context. A parent that gave this process
// a lifeline takes it along.
func Main(p Program) int {
	if err := lifeline.Watch(func() { os.Exit(1) }); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := Run(ctx, p, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(UsageError)):
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		return 2
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
	return 1
}

// Run is Main for a given command line.
func Run(ctx context.Context, p Program, args []string, stdout, stderr io.Writer) error {
	var file, format, level string
	cmd := &cobra.Command{
		Use: p.Name, Short: p.Short, Version: build.Version(), SilenceUsage: true, SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return UsageError{err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" {
				if err := readConfig(file, cmd.Flags()); err != nil {
					return UsageError{err}
				}
			}
			log, err := newLog(stderr, format, level)
			if err != nil {
				return UsageError{err}
			}
			return p.Start(cmd.Context(), log)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return UsageError{fmt.Errorf("%w; see %s --help", err, p.Name)}
	})
	f := cmd.Flags()
	p.Flags(f)
	f.StringVar(&file, "config", "", "YAML file with these same names; a flag that is given wins")
	f.StringVar(&format, "log-format", "text", "text or json")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	return cmd.ExecuteContext(ctx)
}

// readConfig sets the flags that the file names and the command line does not.
func readConfig(path string, flags *pflag.FlagSet) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	values := map[string]string{}
	if err := yaml.Unmarshal(data, &values); err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	for name, value := range values {
		flag := flags.Lookup(name)
		if flag == nil || name == "config" {
			return fmt.Errorf("--config %s: there is no setting %q; the names are the flags' (see --help)", path, name)
		}
		if flag.Changed {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			return fmt.Errorf("--config %s: %w", path, err)
		}
	}
	return nil
}

func newLog(w io.Writer, format, level string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("--log-format %q: want text or json", format)
}
