//go:build unix

// Command cairn is everything in one executable: the demo, a cluster for
// development and the admin commands.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/admin"
	"github.com/cairnstream/cairn/demo"
	"github.com/cairnstream/cairn/internal/build"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cairn: "+admin.Message(err))
	}
	os.Exit(admin.ExitCode(err))
}

// run is the program. Errors of the command line are admin.UsageError.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return admin.Execute(ctx, root)
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := admin.Group(&cobra.Command{Use: "cairn", Short: "Stateful streaming jobs that lose no state and do not stop"},
		demoCommand(stdout, stderr), devCommand(stdout), benchCommand(stdout, stderr), versionCommand(stdout))
	root.AddCommand(demo.Hidden()...)
	root.AddCommand(benchJobCommand(), benchBackpressureJobCommand())
	admin.AddCommands(root, stdout, stderr)
	return root
}

func demoCommand(stdout, stderr io.Writer) *cobra.Command {
	cfg := demo.Config{Build: build.Version(), Stdout: stdout, Stderr: stderr}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a job on a cluster of its own, kill its leader and a worker, and prove the output exact",
		Args:  admin.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return demo.Run(cmd.Context(), cfg) },
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Faults, "faults", "leader,worker", "what to kill, in order: leader, worker, leader+worker (at the same moment), or none")
	f.StringVar(&cfg.ObjectStore, "object-store", "", "bucket to use, such as s3://bucket/prefix?endpoint=http://127.0.0.1:9000 (default: a temporary folder)")
	f.DurationVar(&cfg.Duration, "duration", 0, "about how long the job runs (default: 25s, or longer if the faults need more)")
	f.BoolVar(&cfg.JSON, "json", false, "print the report as one JSON object on the last line of standard output")
	f.BoolVar(&cfg.Keep, "keep", false, "leave the cluster running and say how to reach and stop it")
	return cmd
}

func devCommand(stdout io.Writer) *cobra.Command {
	cfg := demo.DevConfig{Build: build.Version(), Stdout: stdout}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a cluster on this machine until Ctrl-C",
		Args:  admin.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return demo.Dev(cmd.Context(), cfg) },
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Dir, "data-dir", "", "keep the cluster's data here (default: a temporary folder, removed at the end)")
	f.StringVar(&cfg.ObjectStore, "object-store", "", "bucket to use (default: a folder in the data directory)")
	f.IntVar(&cfg.Workers, "workers", 3, "number of workers")
	f.IntVar(&cfg.Slots, "slots", 4, "slots of each worker")
	f.IntVar(&cfg.Port, "port", 7401, "API port of the first controller; the others follow in steps of 100")
	return cmd
}

func versionCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  admin.Args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(stdout, "cairn %s %s/%s %s\n", build.Version(), runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
}
