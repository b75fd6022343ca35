//go:build unix

// Command controller is one of the controllers of a Cairn cluster. See package
// controller for what it does; here are its flags.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/pflag"

	"github.com/cairnstream/cairn/controller"
	"github.com/cairnstream/cairn/internal/build"
	"github.com/cairnstream/cairn/internal/daemon"
)

func main() { os.Exit(daemon.Main(program(controller.Run))) }

// program is the command line; start is what runs the controller.
func program(start func(context.Context, controller.Config) error) daemon.Program {
	cfg := controller.Config{Build: build.Version()}
	var peers string
	return daemon.Program{
		Name: "controller", Short: "Run one of the controllers of a Cairn cluster",
		Flags: func(f *pflag.FlagSet) { addFlags(f, &cfg, &peers) },
		Start: func(ctx context.Context, log *slog.Logger) error {
			var err error
			if cfg.Peers, err = controller.ParsePeers(peers); err != nil {
				return daemon.UsageError{Err: fmt.Errorf("--peers: %w", err)}
			}
			cfg.Log = log
			if err := cfg.WithDefaults().Validate(); err != nil {
				return daemon.UsageError{Err: err}
			}
			return start(ctx, cfg)
		},
	}
}

func addFlags(f *pflag.FlagSet, cfg *controller.Config, peers *string) {
	f.StringVar(&cfg.ID, "id", "", "this controller's name among the peers, for ever")
	f.StringVar(&cfg.Listen, "listen", "", "API address (default: its own in --peers)")
	f.StringVar(&cfg.Advertise, "advertise", "", "API address that others are told (default: its own in --peers)")
	f.StringVar(&cfg.DataDir, "data-dir", "", "folder of the Raft log; belongs to this controller alone")
	f.StringVar(peers, "peers", "", "all controllers, as c1=host:port,c2=host:port,c3=host:port; Raft listens on the port after, or say id=host:port/raftport")
	f.StringVar(&cfg.ObjectStore, "object-store", "", "the cluster's bucket: file:///path or s3://bucket/prefix?endpoint=...")
	f.DurationVar(&cfg.RaftTimeout, "raft-timeout", 0, "heartbeat and election timeout (default: 200ms)")
	f.StringVar(&cfg.MetricsListen, "metrics-listen", "", "serve /metrics and /debug/pprof here (default: nowhere)")
	f.BoolVar(&cfg.AssumeExclusive, "assume-exclusive", false, "no other cluster uses the bucket: needed if the store has no conditional PUT")
	f.BoolVar(&cfg.NoSweep, "no-sweep", false, "leave in the bucket what failed attempts wrote and no checkpoint names, to look at it; the bucket grows")
}
