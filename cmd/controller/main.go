//go:build unix

// Command controller is one of the controllers of a Cairn cluster. See package
// controller for what it does; here are its flags and its configuration file.
package main

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

	"github.com/cairnstream/cairn/controller"
	"github.com/cairnstream/cairn/internal/build"
)

func main() {
	// SIGTERM ends the context: the controller hands leadership over and stops.
	// It stays a member; see package controller.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "controller:", err)
		os.Exit(exitCode(err))
	}
}

// usageError is a wrong command line or configuration: nothing was started.
type usageError struct{ error }

// exitCode is 2 for a usageError and 1 for what failed later, so that a
// supervisor knows when starting again is of no use.
func exitCode(err error) int {
	if errors.As(err, new(usageError)) {
		return 2
	}
	return 1
}

// options are the flags as they are given.
type options struct {
	controller.Config
	peers, configFile, logFormat, logLevel string
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cmd := newCommand(stderr, controller.Run)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	return cmd.ExecuteContext(ctx)
}

// newCommand is the command line; start is what runs the controller.
func newCommand(stderr io.Writer, start func(context.Context, controller.Config) error) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:           "controller",
		Short:         "Run one of the controllers of a Cairn cluster",
		Args:          noArgs,
		Version:       build.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.config(cmd.Flags(), stderr)
			if err == nil {
				err = cfg.WithDefaults().Validate()
			}
			if err != nil {
				return usageError{err}
			}
			return start(cmd.Context(), cfg)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see controller --help", err)}
	})
	o.addFlags(cmd.Flags())
	return cmd
}

func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

func (o *options) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.ID, "id", "", "this controller's name among the peers, for ever")
	f.StringVar(&o.Listen, "listen", "", "API address (default: its own in --peers)")
	f.StringVar(&o.Advertise, "advertise", "", "API address that others are told (default: its own in --peers)")
	f.StringVar(&o.DataDir, "data-dir", "", "folder of the Raft log; belongs to this controller alone")
	f.StringVar(&o.peers, "peers", "", "all controllers, as c1=host:port,c2=host:port,c3=host:port; Raft listens on the port after, or say id=host:port/raftport")
	f.StringVar(&o.ObjectStore, "object-store", "", "the cluster's bucket: file:///path or s3://bucket/prefix?endpoint=...")
	f.DurationVar(&o.RaftTimeout, "raft-timeout", 0, "heartbeat and election timeout (default: 200ms)")
	f.StringVar(&o.MetricsListen, "metrics-listen", "", "serve /metrics and /debug/pprof here (default: nowhere)")
	f.BoolVar(&o.AssumeExclusive, "assume-exclusive", false, "no other cluster uses the bucket: needed if the store has no conditional PUT")
	f.StringVar(&o.configFile, "config", "", "YAML file with these same names; a flag that is given wins")
	f.StringVar(&o.logFormat, "log-format", "text", "text or json")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
}

// config joins flags and file. Package controller checks the values.
func (o *options) config(flags *pflag.FlagSet, stderr io.Writer) (controller.Config, error) {
	if o.configFile != "" {
		if err := readConfig(o.configFile, flags); err != nil {
			return controller.Config{}, err
		}
	}
	var err error
	if o.Peers, err = controller.ParsePeers(o.peers); err != nil {
		return controller.Config{}, fmt.Errorf("--peers: %w", err)
	}
	o.Build = build.Version()
	o.Log, err = newLog(stderr, o.logFormat, o.logLevel)
	return o.Config, err
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
