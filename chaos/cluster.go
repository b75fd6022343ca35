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

// Binaries are the programs of a build.
type Binaries struct{ Controller, Worker, Cairn, Flights string }

// Build compiles all binaries from the module that contains the working
// directory into dir, as the README says: static, without a C compiler.
func Build(ctx context.Context, dir string) (Binaries, error) {
	const module = "github.com/cairnstream/cairn/"
	b := Binaries{filepath.Join(dir, "controller"), filepath.Join(dir, "worker"), filepath.Join(dir, "cairn"), filepath.Join(dir, "flights")}
	for path, pkg := range map[string]string{b.Controller: "cmd/controller", b.Worker: "cmd/worker", b.Cairn: "cmd/cairn", b.Flights: "examples/flights"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", path, module+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return Binaries{}, fmt.Errorf("build %s: %w\n%s", pkg, err, text)
		}
	}
	return b, nil
}

// Cluster is a trio of controllers and some workers on loopback.
type Cluster struct {
	Dir         string
	Controllers []*procs.Process
	Workers     []*procs.Process
	Addresses   []string // of the controllers' API

	cairn string
}

// NewCluster lays out a cluster below dir; nothing runs yet.
func NewCluster(b Binaries, dir string, workers, slots int) (*Cluster, error) {
	ports, err := procs.FreePorts(3)
	if err != nil {
		return nil, err
	}
	store := filepath.Join(dir, "store")
	if err := os.MkdirAll(store, 0o755); err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, cairn: b.Cairn}
	var peers []string
	for i, p := range ports {
		c.Addresses = append(c.Addresses, "127.0.0.1:"+strconv.Itoa(p))
		peers = append(peers, fmt.Sprintf("c%d=%s", i+1, c.Addresses[i]))
	}
	for i := range ports {
		name := fmt.Sprintf("c%d", i+1)
		c.Controllers = append(c.Controllers, c.process(name, b.Controller,
			"--id", name, "--data-dir", filepath.Join(dir, name), "--peers", strings.Join(peers, ","), "--object-store", "file://"+store))
	}
	for i := range workers {
		name := fmt.Sprintf("w%d", i+1)
		c.Workers = append(c.Workers, c.process(name, b.Worker,
			"--id", name, "--data-dir", filepath.Join(dir, name), "--controllers", strings.Join(c.Addresses, ","), "--slots", strconv.Itoa(slots), "--trace"))
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
	cmd := exec.CommandContext(ctx, c.cairn, args...)
	cmd.Env = append(os.Environ(), "CAIRN_CONTROLLERS="+strings.Join(c.Addresses, ","))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("cairn %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
