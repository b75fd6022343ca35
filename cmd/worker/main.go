//go:build unix

// Command worker is the agent on one machine of a Cairn cluster. See package
// worker for what it does; here are its flags.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/pflag"

	"github.com/cairnstream/cairn/internal/build"
	"github.com/cairnstream/cairn/internal/daemon"
	"github.com/cairnstream/cairn/worker"
)

func main() { os.Exit(daemon.Main(program(worker.Run))) }

// program is the command line; start is what runs the agent.
func program(start func(context.Context, worker.Config) error) daemon.Program {
	cfg := worker.Config{Build: build.Version()}
	return daemon.Program{
		Name: "worker", Short: "Run the agent on one machine of a Cairn cluster",
		Flags: func(f *pflag.FlagSet) { addFlags(f, &cfg) },
		Start: func(ctx context.Context, log *slog.Logger) error {
			cfg.Log = log
			if err := cfg.WithDefaults().Validate(); err != nil {
				return daemon.UsageError{Err: err}
			}
			return start(ctx, cfg)
		},
	}
}

func addFlags(f *pflag.FlagSet, cfg *worker.Config) {
	f.StringVar(&cfg.ID, "id", "", "this worker's name in the cluster, for ever (default: the host name)")
	f.StringVar(&cfg.DataDir, "data-dir", "", "folder for artifacts and logs; belongs to this worker alone")
	f.IntVar(&cfg.Slots, "slots", 0, "how many subtasks of one operator fit here (default: the number of processors)")
	f.StringSliceVar(&cfg.Controllers, "controllers", nil, "API addresses of controllers, as host:port,host:port; one that answers is enough")
	f.StringVar(&cfg.Host, "host", "", "name or address by which other workers reach this machine (default: 127.0.0.1)")
	f.StringVar(&cfg.MetricsListen, "metrics-listen", "", "serve /metrics and /debug/pprof here (default: nowhere)")
	f.BoolVar(&cfg.Trace, "trace", false, "job processes append measurements to trace.jsonl in the data folder")
}
