package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/internal/lifeline"
)

// machine is what outlives an incarnation: the data directory, the highest
// term, and who starts processes.
type machine struct {
	cfg       Config
	log       *slog.Logger
	dir       *dataDir
	sockets   string // directory
	artifacts *artifacts
	spawner   *lifeline.Spawner
	metrics   *metrics
	metered   string // where /metrics is served
	terms     terms
	socket    atomic.Int64          // numbers sockets
	present   atomic.Pointer[agent] // the present incarnation
}

func newMachine(cfg Config, dir *dataDir, sockets string) *machine {
	m := &machine{
		cfg: cfg, log: cfg.Log.With("worker", cfg.ID), dir: dir, sockets: sockets,
		artifacts: &artifacts{dir: dir, users: map[string]int{}},
		spawner:   lifeline.NewSpawner(), metrics: newMetrics(),
	}
	m.metrics.registry.MustRegister(jobCollector{m})
	return m
}

// run owns the worker's goroutines. It starts from the bottom up, and stops
// from the top down: first the agent with its processes, last the spawner,
// since the end of its thread is the death of what it started.
func (m *machine) run(ctx context.Context) error {
	metricsListener, err := m.listenMetrics()
	if err != nil {
		return err
	}
	spawning, stopSpawner := context.WithCancel(context.WithoutCancel(ctx))
	var spawner errgroup.Group
	spawner.Go(func() error { return m.spawner.Run(spawning) })

	group, ctx := errgroup.WithContext(ctx)
	if metricsListener != nil {
		group.Go(func() error { return m.serveMetrics(ctx, metricsListener) })
	}
	group.Go(func() error { return m.live(ctx) })
	m.log.Info("worker started", "slots", m.cfg.Slots, "data_dir", m.dir.path)
	err = group.Wait()
	stopSpawner()
	err = errors.Join(err, spawner.Wait())
	m.log.Info("worker stopped")
	return err
}

// live is one incarnation after the other, until ctx ends. The next begins only
// when nothing that the last one started runs any more.
func (m *machine) live(ctx context.Context) error {
	for {
		a := newAgent(m)
		m.present.Store(a)
		if err := m.tell(a.incarnation); err != nil {
			return err
		}
		err := a.run(ctx)
		if !errors.Is(err, errEnded) {
			return err
		}
		a.log.Warn("incarnation over: its processes have ended, another begins")
	}
}

// listenMetrics begins to listen, if the worker is to serve metrics.
func (m *machine) listenMetrics() (net.Listener, error) {
	if m.cfg.MetricsListen == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", m.cfg.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	m.metered = l.Addr().String()
	return l, nil
}

// tell writes listening.json, for those who gave port 0.
func (m *machine) tell(incarnation dataflow.Incarnation) error {
	return writeJSON(m.dir.file("listening.json"), struct {
		PID         int    `json:"pid"`
		Incarnation string `json:"incarnation"`
		Metrics     string `json:"metrics,omitempty"`
	}{os.Getpid(), string(incarnation), m.metered})
}

// nextSocket names a socket that no process of this run had before.
func (m *machine) nextSocket() string {
	return filepath.Join(m.sockets, fmt.Sprintf("%d.sock", m.socket.Add(1)))
}
