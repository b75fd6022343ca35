package stream

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/internal/heap"
	"github.com/cairnstream/cairn/local"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/task"
)

// EnvPlan names the file that a program writes its graph to, as JSON, instead
// of running. Agents set it to learn a job's graph.
const EnvPlan = "CAIRN_PLAN_OUT"

// EnvPlanRestore names a file with a restore point that the plan is to be matched with, and
// EnvPlanMatch the file that the program writes the match to: see task.WriteMatch. Agents set
// them beside EnvPlan, to learn what of a checkpoint would go where.
const (
	EnvPlanRestore = "CAIRN_PLAN_RESTORE"
	EnvPlanMatch   = "CAIRN_PLAN_MATCH"
)

// EnvParallelism overrides the parallelism that a program gives its operators
// with Pipeline.Parallelism, or leaves at the default; operators with the
// option Parallelism keep theirs. Agents set it to what the job was submitted
// with (cairn job submit --parallelism). A whole number of at least 1.
const EnvParallelism = "CAIRN_PARALLELISM"

// Exit statuses of a job's program.
const (
	exitFailed = 1
	exitUsage  = 2
)

// ErrUsage is returned by Run for arguments that a job does not take. The
// message says which it takes.
var ErrUsage = errors.New("usage")

// Builder builds a job's graph from its arguments. Main, MainWith and With make
// one from simpler functions.
type Builder func(p *Pipeline, args []string) error

// Main is the main function of a program that is a job without arguments. It
// does not return.
//
// How it runs is up to whoever starts the program: a cluster's agent makes it
// tell its graph or host subtasks; started by hand it runs the whole job in
// this process, with checkpoints in a local folder, and goes on where it was
// interrupted (see Run).
func Main(name string, build func(*Pipeline)) {
	MainWith(name, struct{}{}, func(p *Pipeline, _ struct{}) { build(p) })
}

// MainWith is Main for a job with arguments: see With.
func MainWith[C any](name string, defaults C, build func(*Pipeline, C)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := Run(ctx, name, os.Args[1:], With(defaults, build))
	interrupted := ctx.Err() != nil
	stop()
	os.Exit(report(err, interrupted))
}

// report tells people how it ended and returns the exit status.
func report(err error, interrupted bool) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(os.Stdout, err)
		return 0
	case interrupted && errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "interrupted; start again to go on from the last checkpoint")
		return exitFailed
	case errors.Is(err, ErrUsage):
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	default:
		fmt.Fprintln(os.Stderr, err)
		if p := (*engine.PanicError)(nil); errors.As(err, &p) {
			fmt.Fprintf(os.Stderr, "%s\n", p.Stack)
		}
		return exitFailed
	}
}

// Run runs a job that a bigger program hosts, and returns when it has ended or
// ctx has. The environment says how:
//
//   - task.EnvSocket: this process hosts subtasks for the agent behind that
//     Unix socket.
//   - EnvPlan: the graph is written to that file; the error has every problem
//     of it. With EnvPlanRestore it is matched with a checkpoint as well.
//   - otherwise the job runs here alone. --cairn.dir=DIR is the folder for its
//     checkpoints (default: below the user's cache folder), --cairn.new forgets
//     an interrupted run. Both come before the job's own arguments.
//
// In each case EnvParallelism has its effect.
func Run(ctx context.Context, name string, args []string, build Builder) error {
	if runtime.GOOS == "windows" {
		return errors.New("cairn does not run on Windows: use Linux or macOS")
	}
	if err := dataflow.CheckJobName(name); err != nil {
		return err
	}
	socket, planOut := os.Getenv(task.EnvSocket), os.Getenv(EnvPlan)
	var here localArgs
	if socket == "" && planOut == "" {
		var err error
		if here, args, err = takeLocalArgs(name, args); err != nil {
			return err
		}
	}
	p := NewPipeline(name)
	if err := p.override(os.Getenv(EnvParallelism)); err != nil {
		return err
	}
	if err := build(p, args); err != nil {
		return err
	}
	program, err := p.Program()
	switch {
	case err != nil:
		return fmt.Errorf("job %s can not run:\n%w", name, err)
	case socket != "":
		heap.Floor(heap.Least)
		return task.Run(ctx, socket, program)
	case planOut != "":
		if err := writePlan(planOut, program.Graph); err != nil {
			return err
		}
		if restore := os.Getenv(EnvPlanRestore); restore != "" {
			return task.WriteMatch(ctx, program, restore, os.Getenv(EnvPlanMatch))
		}
		return nil
	default:
		heap.Floor(heap.Least)
		return runLocal(ctx, here, program)
	}
}

func writePlan(path string, g *dataflow.Graph) error {
	data, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// localArgs are the arguments of local mode.
type localArgs struct {
	dir   string
	fresh bool
}

// takeLocalArgs takes local mode's arguments off the front.
func takeLocalArgs(name string, args []string) (localArgs, []string, error) {
	var l localArgs
	for len(args) > 0 && strings.HasPrefix(args[0], "--cairn.") {
		flag, value, _ := strings.Cut(strings.TrimPrefix(args[0], "--cairn."), "=")
		switch {
		case flag == "dir" && value != "":
			l.dir = value
		case flag == "new" && value == "":
			l.fresh = true
		default:
			return l, nil, fmt.Errorf("%w: %s: use --cairn.dir=DIR or --cairn.new", ErrUsage, args[0])
		}
		args = args[1:]
	}
	if l.dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return l, nil, fmt.Errorf("no folder for checkpoints, use --cairn.dir=DIR: %w", err)
		}
		l.dir = filepath.Join(cache, "cairn", "local", name)
	}
	return l, args, nil
}

func runLocal(ctx context.Context, l localArgs, program *engine.Program) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	log.Info("running in this process", "job", program.Graph.Name, "checkpoints", l.dir)
	err := local.Run(ctx, local.Config{
		Program: program, Dir: l.dir, Fresh: l.fresh, Log: log,
		OpenBucket: func(ctx context.Context, url string) (objectstore.Bucket, error) {
			return open.Open(ctx, url, open.Options{Create: true})
		},
	})
	if err == nil {
		log.Info("finished: all data is processed and all output committed", "job", program.Graph.Name)
	}
	return err
}
