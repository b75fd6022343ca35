package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

type submitFlags struct {
	name        string
	platform    string
	parallelism int32
	options     dataflow.Options
	set         []string // OPTION=VALUE
	origin      originFlags
}

func (t *tree) jobSubmitCommand() *cobra.Command {
	var f submitFlags
	cmd := &cobra.Command{
		Use:   "submit PACKAGE|EXECUTABLE [-- ARGUMENT...]",
		Short: "Run a job: a Go package (needs go) or an executable, with its own arguments after --",
		Example: "  cairn job submit ./examples/flights -- --out file:///tmp/out\n" +
			"  cairn job submit ./flights-linux-amd64 --parallelism 8\n" +
			"  cairn job submit ./flights --set checkpoint.aligned_timeout=500ms --set checkpoint.max_age=10m",
		Args: Args(func(cmd *cobra.Command, given []string) error {
			if n := cmd.ArgsLenAtDash(); n == 1 || n < 0 && len(given) == 1 {
				return nil
			}
			return errors.New("name one package or executable; the job's own arguments come after --")
		}),
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			return t.jobSubmit(ctx, c, f, given[0], given[1:])
		}),
	}
	f.add(cmd)
	f.origin.add(cmd)
	return cmd
}

func (f *submitFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.name, "name", "", "name of the job (default: that of the package or executable)")
	fl.StringVar(&f.platform, "platform", "", "GOOS/GOARCH to build for (default: the workers')")
	fl.Int32Var(&f.parallelism, "parallelism", 0, "parallelism of operators that do not fix their own (default: the program's)")
	fl.DurationVar(&f.options.CheckpointInterval, "checkpoint-interval", 0, "time between checkpoints; negative for none (default: the program's, else 10s)")
	fl.DurationVar(&f.options.CheckpointTimeout, "checkpoint-timeout", 0, "abort a checkpoint after this long (default: the program's, else 10m)")
	fl.DurationVar(&f.options.MinPause, "min-pause", 0, "least time between two checkpoints")
	fl.IntVar(&f.options.TolerableFailures, "tolerable-failures", 0, "checkpoint failures in a row that do not restart the job; negative for any number")
	fl.IntVar(&f.options.Retained, "retained", 0, "completed checkpoints to keep (default: the program's, else 3)")
	fl.IntVar(&f.options.Restart.Attempts, "restart-attempts", 0, "restarts in a row before the job fails; negative for none (default: no limit)")
	fl.StringArrayVar(&f.set, "set", nil, "any other option, as OPTION=VALUE, such as checkpoint.every_bytes=64MiB; cairn job set JOB names them all; may be repeated")
	f.addState(cmd)
}

// addState adds the flags of dataflow.StateOptions.
func (f *submitFlags) addState(cmd *cobra.Command) {
	fl, st := cmd.Flags(), &f.options.State
	fl.StringVar(&st.Backend, "state-backend", "", "how keyed state is kept: memory, or lsm for state beyond memory (default: the program's, else memory)")
	fl.Var(sizeFlag{&st.MemoryBytes}, "state-memory", "memory of a process for the caches of the lsm backend, such as 256MiB (default: the program's, else 256MiB)")
	fl.DurationVar(&st.RecoveryTarget, "recovery-target", 0, "how long replaying a process's changelog may take after a failure (default: the program's, else 10s)")
	fl.Var(sizeFlag{&st.LogBytes}, "changelog", "changelog of a process between two images, whatever the recovery target allows (default: the program's, else 64MiB or twice the state)")
	fl.Var(sizeFlag{&st.SpoolBytes}, "spool", "local disk of a process for changes that the object store does not take (default: the program's, else 4GiB)")
	fl.StringVar(&st.Compression, "compression", "", "of the changelog: s2, zstd or none (default: the program's, else s2)")
	fl.StringVar(&st.LocalRecovery, "local-recovery", "", "keep copies on local disk for restarts: on or off (default: the program's, else on)")
	for flag, values := range map[string][]cobra.Completion{
		"state-backend": {dataflow.BackendMemory, dataflow.BackendLSM}, "compression": {"s2", "zstd", "none"}, "local-recovery": {"on", "off"},
	} {
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag was not declared: a mistake in this function
		}
	}
}

// check reports what is wrong before anything is built or asked.
func (f *submitFlags) check() error {
	for _, text := range f.set {
		s, err := assign(&f.options, text)
		if err != nil {
			return err
		}
		if s.value.IsZero() {
			return usagef("--set %s: at submit that is the program's own value, or the default; set it afterwards with cairn job set", text)
		}
	}
	if err := f.options.Validate(); err != nil {
		return &UsageError{err}
	}
	if f.parallelism < 0 {
		return usagef("--parallelism %d: use 1 or more", f.parallelism)
	}
	if err := dataflow.CheckJobName(f.name); err != nil {
		return usagef("%w; choose one with --name", err)
	}
	return nil
}

func (t *tree) jobSubmit(ctx context.Context, c *Client, f submitFlags, what string, jobArgs []string) error {
	if f.name == "" {
		f.name = nameOf(what)
	}
	if err := f.check(); err != nil {
		return err
	}
	origin, err := f.origin.origin()
	if err != nil {
		return err
	}
	progress := newProgress(t.stderr)
	defer progress.end()
	program, err := t.program(ctx, c, what, f.platform, progress)
	if err != nil {
		return err
	}
	defer program.remove()
	id, err := Submit(ctx, c, Submission{
		Name: f.name, Executable: program.path, Platform: program.platform, Args: jobArgs, Options: f.options, Parallelism: f.parallelism, Origin: origin,
		Progress: progress.say,
	})
	progress.end()
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(object{{"job", id}})
	}
	_, err = fmt.Fprintf(t.stdout, "job %s submitted; see it with: cairn job show %s\n", id, id)
	return err
}

// Submission is a job to be submitted from an executable on this machine.
type Submission struct {
	Name        string
	Executable  string
	Platform    string // GOOS/GOARCH
	Args        []string
	Options     dataflow.Options // those that are given win over the program's
	Parallelism int32            // 0: the program's
	Origin      *wire.Origin     // nil: from the beginning
	Progress    func(string)     // told what is going on, for people; may be nil
}

// planLimit is above the 60 s that the leader gives a worker to fetch the
// artifact and plan the job.
const planLimit = 65 * time.Second

// Submit submits the job and returns its id. The executable is sent only if the
// cluster does not have it.
func Submit(ctx context.Context, c *Client, s Submission) (string, error) {
	if s.Progress == nil {
		s.Progress = func(string) {}
	}
	artifact, err := openArtifact(s.Executable)
	if err != nil {
		return "", fmt.Errorf("submit job %s: %w", s.Name, err)
	}
	defer artifact.close()
	options, err := json.Marshal(s.Options)
	if err != nil {
		return "", fmt.Errorf("submit job %s: options: %w", s.Name, err)
	}
	req := &wire.SubmitJobRequest{
		Name: s.Name, ArtifactSha256: artifact.sum, Args: s.Args, Options: options, Key: requestKey(), Platform: s.Platform, Parallelism: s.Parallelism, Origin: s.Origin,
	}
	return submit(ctx, c, req, artifact, s.Progress)
}

// submit asks first: a cluster that does not have the artifact says so before
// it does anything, with FAILED_PRECONDITION. That code has other causes too; for
// these a needless upload changes nothing.
func submit(ctx context.Context, c *Client, req *wire.SubmitJobRequest, artifact *artifact, progress func(string)) (string, error) {
	what := "submit job " + req.Name
	progress("planning job " + req.Name)
	r, err := slowCall(ctx, c, planLimit, what, wire.ControlClient.SubmitJob, req)
	if status.Code(err) == codes.FailedPrecondition {
		if err := artifact.upload(ctx, c, progress); err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
		progress("planning job " + req.Name)
		r, err = slowCall(ctx, c, planLimit, what, wire.ControlClient.SubmitJob, req)
	}
	return r.GetJob(), err
}
