package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cairnstream/cairn/admin"
	"github.com/cairnstream/cairn/internal/procs"
)

// DevConfig is what `cairn dev` can choose.
type DevConfig struct {
	// Dir keeps the cluster's data from one start to the next. Default: a
	// temporary folder that is removed at the end.
	Dir string
	// ObjectStore is the URL of the bucket. Default: a folder in Dir.
	ObjectStore string
	Workers     int // default 3
	Slots       int // of each; default 4
	// Port is the first controller's; the others follow in steps of 100.
	// Default 7401, where the admin commands look by themselves.
	Port   int
	Build  string
	Stdout io.Writer
}

// Dev starts the demo's cluster without the demo and keeps it until ctx ends.
func Dev(ctx context.Context, cfg DevConfig) (err error) {
	if cfg.Workers < 1 || cfg.Slots < 1 || cfg.Port < 1 || cfg.Port > 65000 {
		return &admin.UsageError{Err: fmt.Errorf("--workers %d --slots %d --port %d: use at least 1 worker and slot, and a port up to 65000", cfg.Workers, cfg.Slots, cfg.Port)}
	}
	dir := cfg.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "cairn-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	fmt.Fprintf(cfg.Stdout, "starting %d controllers and %d workers in %s\n", controllers, cfg.Workers, dir)
	ports := []int{cfg.Port, cfg.Port + 100, cfg.Port + 200}
	for _, p := range ports {
		if !procs.IsFree(p) || !procs.IsFree(p+1) {
			return fmt.Errorf("port %d or %d is in use: stop what listens there (another cairn dev?), or choose --port", p, p+1)
		}
	}
	c, err := startCluster(ctx, clusterConfig{Dir: dir, ObjectStore: cfg.ObjectStore, Controllers: controllers, Workers: cfg.Workers, Slots: cfg.Slots, Ports: ports, Build: cfg.Build})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	starting, cancel := context.WithTimeoutCause(ctx, startWithin, fmt.Errorf("not ready after %v", startWithin))
	defer cancel()
	if err := c.ready(starting); err != nil {
		return err
	}
	fmt.Fprintf(cfg.Stdout, "ready: %d controllers, %d workers of %d slots, object store %s\n", controllers, cfg.Workers, cfg.Slots, c.store)
	if cfg.Port != 7401 {
		fmt.Fprintf(cfg.Stdout, "  export %s=%s\n", admin.ControllersEnv, strings.Join(c.order, ","))
	}
	fmt.Fprintf(cfg.Stdout, "try:  cairn cluster status\n      cairn job submit ./examples/flights -- --out file://%s/out\nlogs: %s/*.log\nCtrl-C stops everything\n", dir, dir)
	<-ctx.Done()
	fmt.Fprintln(cfg.Stdout, "stopping")
	return nil
}

// printAttach tells how to reach and how to stop a cluster that was left running.
func printAttach(w io.Writer, c *cluster, dir string) {
	var pids []string
	for _, p := range c.all() {
		pids = append(pids, fmt.Sprint(p.PID()))
	}
	fmt.Fprintf(w, "\nthe cluster goes on. To look at it:\n  export %s=%s\n  cairn cluster status\nlogs and data are in %s. To stop it:\n  kill %s && sleep %d && rm -r %s\n",
		admin.ControllersEnv, strings.Join(c.order, ","), dir, strings.Join(pids, " "), int((2 * time.Second).Seconds()), dir)
}
