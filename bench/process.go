package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

// setup says what a process is like.
type setup struct {
	backend string
	tasks   int
	keys    int64 // of all tasks
	value   int   // bytes of a value
	// changelog is false for a process that keeps its changes to itself.
	changelog bool
	// logBytes is how much log there may be between two images; 0 is the default,
	// noImages never takes one.
	logBytes int64
}

const (
	// noImages is more log than a measurement writes, and noReplayLimit longer than
	// its replay could take.
	noImages      = 1 << 50
	noReplayLimit = 1000 * time.Hour
)

// process is the state side of a task process: an uploader, and tasks with their
// stores. One goroutine uses it; its methods start what else runs, and wait for it.
type process struct {
	setup
	runner   *runner
	bucket   *objectstore.Counting
	prefix   string
	localDir string // for the spool, local copies and databases
	stores   *backend
	tasks    []*task
	uploader *changelog.Uploader // nil without a changelog

	quiet    time.Duration      // for settle
	stop     context.CancelFunc // ends the uploader
	ended    chan error
	closed   bool
	newest   dataflow.CheckpointID
	position uint64 // changes logged, as of the last checkpoint
}

// newProcess opens a process with empty stores. Close it.
func (r *runner) newProcess(ctx context.Context, s setup) (p *process, err error) {
	number := r.processes.Add(1)
	p = &process{
		setup: s, runner: r, bucket: objectstore.Count(r.bucket), prefix: fmt.Sprintf("%s%d/", r.prefix, number), ended: make(chan error, 1), quiet: quiet,
	}
	if r.cfg.Quick {
		p.quiet = quietQuick
	}
	p.localDir = r.folder(fmt.Sprintf("process-%d", number))
	p.stores = openBackend(s.backend, p.localDir)
	if s.changelog {
		if p.uploader, err = changelog.New(p.config()); err != nil {
			p.stores.close()
			return nil, err
		}
	}
	ctx, p.stop = context.WithCancel(ctx)
	go func() {
		p.ended <- p.upload(ctx)
	}()
	for i := range s.tasks {
		if err := p.openTask(i); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	return p, nil
}

// upload runs the uploader until ctx ends, which is no error.
func (p *process) upload(ctx context.Context) error {
	if p.uploader == nil {
		return nil
	}
	if err := p.uploader.Run(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

func (p *process) openTask(i int) error {
	lo, hi := dataflow.GroupRange(keyGroups, p.setup.tasks, i)
	var log *changelog.Log
	var as state.Log // an empty interface, not one that holds nil
	if p.uploader != nil {
		var err error
		if log, err = p.uploader.Log(fmt.Sprint(i), lo, hi); err != nil {
			return err
		}
		as = log
	}
	store, err := p.stores.open(lo, hi, p.setup.tasks, as)
	if err != nil {
		return err
	}
	t, err := newTask(store, log, i, lo, hi, uint64(p.keys)/uint64(p.setup.tasks), p.value)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	p.tasks = append(p.tasks, t)
	return nil
}

// close ends the uploader and closes the stores. What was uploaded stays, and what
// is in the local folder too; discard removes both. It may be called again.
func (p *process) close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	p.stop()
	errs := []error{<-p.ended}
	for _, t := range p.tasks {
		errs = append(errs, t.store.Close())
	}
	p.stores.close()
	return errors.Join(errs...)
}

// discard closes the process and removes what it wrote.
func (p *process) discard(ctx context.Context) error {
	return errors.Join(p.close(), p.runner.remove(context.WithoutCancel(ctx), p.prefix), os.RemoveAll(p.localDir))
}

// fill gives all keys a value, on all tasks at once.
func (p *process) fill(ctx context.Context) error {
	g, inner := errgroup.WithContext(ctx)
	for _, t := range p.tasks {
		g.Go(func() error { return t.fill(inner) })
	}
	return g.Wait()
}

// config is that of a job's process with these options.
func (p *process) config() changelog.Config {
	c := changelog.Config{Bucket: p.bucket, Prefix: p.prefix, LocalDir: p.localDir, LogBytes: p.logBytes}
	if p.logBytes == noImages {
		c.RecoveryTarget = noReplayLimit
		c.Image = changelog.ImagePolicy{SegmentsMax: noImages, ObjectsMax: noImages}
	}
	return c
}
