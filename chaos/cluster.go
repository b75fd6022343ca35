package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cairnstream/cairn/internal/procs"
)

// Binaries are the programs of a build: the daemons, an example, and the test
// jobs of this package.
type Binaries struct{ Controller, Worker, Cairn, Flights, Counter, Rows, Cycle, Tally, TallySince string }

// Build compiles all binaries from the module that contains the working
// directory into dir, as the README says: static, without a C compiler.
func Build(ctx context.Context, dir string) (Binaries, error) {
	const module = "github.com/cairnstream/cairn/"
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator),
		module+"cmd/...", module+"examples/flights", module+"chaos/testjobs/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return Binaries{}, fmt.Errorf("build the binaries: %w\n%s", err, text)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return Binaries{at("controller"), at("worker"), at("cairn"), at("flights"), at("counter"), at("rows"), at("cycle"), at("tally"), at("tallysince")}, nil
}

// Size is how many processes a cluster has.
type Size struct{ Controllers, Workers, Slots int }

// Cluster is some controllers and workers on loopback.
type Cluster struct {
	Binaries
	Dir         string
	Store       string // the folder that is the bucket
	Controllers []*procs.Process
	Workers     []*procs.Process
	Addresses   []string // of the controllers' API
}

// NewCluster lays out a cluster below dir; nothing runs yet.
func NewCluster(b Binaries, dir string, size Size) (*Cluster, error) {
	store := filepath.Join(dir, "store")
	if err := os.MkdirAll(store, 0o755); err != nil {
		return nil, err
	}
	return NewClusterOn(b, dir, store, "file://"+store, size)
}

// NewClusterOn is NewCluster with the bucket at url; store is its folder on this
// machine, if it has one.
func NewClusterOn(b Binaries, dir, store, url string, size Size) (*Cluster, error) {
	ports, err := procs.FreePorts(size.Controllers)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, Store: store, Binaries: b}
	var peers []string
	for i, p := range ports {
		c.Addresses = append(c.Addresses, "127.0.0.1:"+strconv.Itoa(p))
		peers = append(peers, fmt.Sprintf("c%d=%s", i+1, c.Addresses[i]))
	}
	for i := range ports {
		name := fmt.Sprintf("c%d", i+1)
		c.Controllers = append(c.Controllers, c.process(name, b.Controller,
			"--id", name, "--data-dir", filepath.Join(dir, name), "--peers", strings.Join(peers, ","), "--object-store", url))
	}
	for i := range size.Workers {
		name := fmt.Sprintf("w%d", i+1)
		c.Workers = append(c.Workers, c.process(name, b.Worker,
			"--id", name, "--data-dir", filepath.Join(dir, name), "--controllers", strings.Join(c.Addresses, ","), "--slots", strconv.Itoa(size.Slots), "--trace"))
	}
	return c, nil
}

func (c *Cluster) process(name, path string, args ...string) *procs.Process {
	return &procs.Process{Name: name, Path: path, Args: args, Log: filepath.Join(c.Dir, name+".log")}
}

// All are the controllers and the workers.
func (c *Cluster) All() []*procs.Process {
	return append(append([]*procs.Process(nil), c.Controllers...), c.Workers...)
}

// Start starts the processes, in order.
func (c *Cluster) Start(ps ...*procs.Process) error {
	for _, p := range ps {
		if err := p.Start(); err != nil {
			return err
		}
	}
	return nil
}

// Kill kills the processes with SIGKILL, one right after the other.
func (c *Cluster) Kill(ps ...*procs.Process) error {
	for _, p := range ps {
		if _, _, err := p.Kill(); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends whatever still runs.
func (c *Cluster) Stop() error {
	var errs []error
	for _, ps := range [][]*procs.Process{c.Workers, c.Controllers} {
		for _, p := range ps {
			errs = append(errs, p.Stop(3*time.Second))
		}
	}
	return errors.Join(errs...)
}

// CLI runs an admin command against the cluster and returns its standard output.
func (c *Cluster) CLI(ctx context.Context, args ...string) (string, error) {
	o, err := c.Ask(ctx, args...)
	if err == nil && o.Code != 0 {
		err = fmt.Errorf("cairn %s: exit status %d: %s", strings.Join(args, " "), o.Code, o.Stderr)
	}
	return o.Stdout, err
}

// Ask runs an admin command against the cluster, whatever comes of it.
func (c *Cluster) Ask(ctx context.Context, args ...string) (Outcome, error) {
	return Exec(ctx, []string{"CAIRN_CONTROLLERS=" + strings.Join(c.Addresses, ",")}, c.Cairn, args...)
}

// Outcome is what a program that has ended said and returned.
type Outcome struct {
	Code           int // exit status
	Stdout, Stderr string
}

// Exec runs a program to its end. An error means that it could not be run, or
// did not end before ctx.
func Exec(ctx context.Context, env []string, path string, args ...string) (Outcome, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	o := Outcome{cmd.ProcessState.ExitCode(), stdout.String(), strings.TrimSpace(stderr.String())}
	if exited := (*exec.ExitError)(nil); errors.As(err, &exited) && ctx.Err() == nil {
		err = nil
	}
	if err != nil {
		return o, fmt.Errorf("%s %s: %w: %s", filepath.Base(path), strings.Join(args, " "), errors.Join(context.Cause(ctx), err), o.Stderr)
	}
	return o, nil
}
