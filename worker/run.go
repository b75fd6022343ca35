package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/internal/lifeline"
)

// Run is the agent: it serves until ctx ends, whatever becomes of the
// controllers, and ends all job processes before it returns. Errors that only a
// person can mend end it: a bad configuration, a data directory that is in use
// (ErrDataDirInUse) or belongs to another cluster (ErrForeignCluster).
func Run(ctx context.Context, cfg Config) (err error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	dir, err := openDataDir(cfg.DataDir, cfg.ID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	sockets, err := makeSockets(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(sockets)) }()
	a := newAgent(cfg, dir, sockets)
	defer func() { err = errors.Join(err, a.artifacts.Close()) }()
	return a.run(ctx)
}

func newAgent(cfg Config, dir *dataDir, sockets string) *agent {
	incarnation := dataflow.NewIncarnation()
	a := &agent{
		cfg: cfg, incarnation: incarnation, dir: dir, sockets: sockets,
		log:     cfg.Log.With("worker", cfg.ID, "incarnation", incarnation),
		reports: newReports(), metrics: newMetrics(), spawner: lifeline.NewSpawner(),
		artifacts: &artifacts{dir: dir, users: map[string]int{}},
		answering: make(chan struct{}, answersMax),
		jobs:      map[dataflow.JobID]*job{}, ended: map[dataflow.JobID]dataflow.Attempt{},
	}
	a.metrics.registry.MustRegister(jobCollector{a})
	return a
}

// run owns the agent's goroutines. It starts from the bottom up, and stops in
// this order: first the session, so that no order begins anything; then the
// jobs, whose processes it waits for; last the spawner, since the end of its
// thread is the death of what it started.
func (a *agent) run(ctx context.Context) error {
	metricsListener, err := a.listenMetrics()
	if err != nil {
		return err
	}
	spawning, stopSpawner := context.WithCancel(context.WithoutCancel(ctx))
	var spawner errgroup.Group
	spawner.Go(func() error { return a.spawner.Run(spawning) })

	group, ctx := errgroup.WithContext(ctx)
	if metricsListener != nil {
		group.Go(func() error { return a.serveMetrics(ctx, metricsListener) })
	}
	group.Go(func() error { return a.keepSession(ctx) })
	a.log.Info("worker started", "slots", a.cfg.Slots, "data_dir", a.dir.path)
	err = group.Wait()
	a.working.Wait()
	stopSpawner()
	err = errors.Join(err, spawner.Wait())
	a.log.Info("worker stopped")
	return err
}

// listenMetrics also writes listening.json, for those who gave port 0.
func (a *agent) listenMetrics() (net.Listener, error) {
	told := struct {
		PID         int    `json:"pid"`
		Incarnation string `json:"incarnation"`
		Metrics     string `json:"metrics,omitempty"`
	}{PID: os.Getpid(), Incarnation: string(a.incarnation)}
	var l net.Listener
	if a.cfg.MetricsListen != "" {
		var err error
		if l, err = net.Listen("tcp", a.cfg.MetricsListen); err != nil {
			return nil, fmt.Errorf("listen for metrics: %w", err)
		}
		a.metered = l.Addr().String()
		told.Metrics = a.metered
	}
	if err := writeJSON(a.dir.file("listening.json"), told); err != nil {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
		return nil, err
	}
	return l, nil
}
