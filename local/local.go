package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
)

// cluster is the first part of the names of a local job's objects.
const cluster = "local"

// Config says what to run, and where.
type Config struct {
	Program *engine.Program
	// Dir is the job's folder. It is made if it does not exist.
	Dir string
	// Fresh forgets an interrupted run in Dir instead of going on with it.
	Fresh bool
	// OpenBucket opens a connector's store by URL.
	OpenBucket engine.OpenBucket
	Log        *slog.Logger
	// Trace takes the engine's trace events; nil drops them.
	Trace func(engine.TraceEvent)
	// Started is told the job's id before anything runs; nil drops it.
	Started func(dataflow.JobID)
	// Checkpointed is told of each completed checkpoint: how long it took from its
	// trigger on, and how many bytes it uploaded. It must not block; nil drops it.
	Checkpointed func(took time.Duration, bytes int64)
}

// Run runs a job until its data ends (nil), it fails, or ctx ends (its cause).
// What is complete in Dir by then is where the next Run goes on.
func Run(ctx context.Context, cfg Config) (err error) {
	f, err := openFolder(cfg.Dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer func() { err = errors.Join(err, f.close()) }()
	bucket, err := file.Open(f.bucket(), file.Options{Create: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	process := dataflow.NewIncarnation()
	r := &runner{cfg: cfg, folder: f, store: checkpointstore.New(bucket, cluster), inbox: newInbox(process, cfg.Trace), process: process}
	r.options = cfg.Program.Graph.Options.WithDefaults()
	if err := r.options.Validate(); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	r.options.State.LocalRecovery = "off" // the bucket is on this disk: copies of it would be copies
	if err := r.begin(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if cfg.Started != nil {
		cfg.Started(r.ledger.Job)
	}
	return r.run(ctx)
}

// runner runs one attempt of a job.
type runner struct {
	cfg     Config
	options dataflow.Options
	folder  *folder
	store   *checkpointstore.Store
	ledger  ledger
	process dataflow.Incarnation
	inbox   *inbox

	// Of the loop.
	attempt  *engine.Attempt
	state    coordinator.State
	started  time.Time
	begun    map[dataflow.CheckpointID]begun
	finish   bool // the final checkpoint is complete
	finished dataflow.CheckpointID
}

// begun is a checkpoint in flight.
type begun struct {
	at      time.Time
	trigger coordinator.Trigger
}

// begin reads the ledger, or starts one, and counts the attempt.
func (r *runner) begin(ctx context.Context) error {
	l, ok, err := r.folder.read()
	if err != nil {
		return err
	}
	if ok && (l.Finished || r.cfg.Fresh) {
		if err := r.sweep(ctx, l.Job, catalog.New()); err != nil {
			return err
		}
		ok = false
	}
	if !ok {
		name := r.cfg.Program.Graph.Name
		id := dataflow.JobID(name + "-" + string(dataflow.NewIncarnation())[:6])
		l = ledger{Job: id, Name: name, catalog: catalog.New()}
	}
	r.ledger = l
	r.ledger.Attempt++
	if err := r.folder.write(&r.ledger); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return r.sweep(ctx, l.Job, l.catalog)
}

// sweep deletes the job's objects that the catalog does not name. Nobody
// writes any now: the folder is locked.
func (r *runner) sweep(ctx context.Context, job dataflow.JobID, c *catalog.Catalog) error {
	keep := map[string]bool{}
	for rec := range c.All() {
		keep[rec.Metadata.Key] = true
	}
	var garbage []string
	err := r.store.Bucket().List(ctx, fmt.Sprintf("%s/jobs/%s/", cluster, job), func(o objectstore.Info) error {
		if !keep[o.Key] && !refers(c, o.Key) {
			garbage = append(garbage, o.Key)
		}
		return nil
	})
	for _, key := range garbage {
		err = errors.Join(err, r.store.Bucket().Delete(ctx, key))
	}
	return err
}

// refers tells whether the catalog needs the object of a state's writer.
func refers(c *catalog.Catalog, key string) bool {
	i := strings.LastIndexByte(key, '/')
	number, _, _ := strings.Cut(key[i+1:], ".")
	n, err := strconv.ParseUint(number, 10, 64)
	return err == nil && c.Refers(key[:i+1], n)
}

// restorePoint reads the newest checkpoint; nil if there is none.
func (r *runner) restorePoint(ctx context.Context) (*engine.Restore, error) {
	newest := r.ledger.catalog.Newest()
	if newest == nil {
		return nil, nil
	}
	m, err := r.store.Read(ctx, newest.Metadata)
	if err != nil {
		return nil, err
	}
	return &engine.Restore{
		Checkpoint: m.Checkpoint, Attempt: m.Attempt, KeyGroups: m.KeyGroups,
		Processes: m.Processes, CommitsKnown: r.ledger.Known,
	}, nil
}

func (r *runner) run(ctx context.Context) (err error) {
	restore, err := r.restorePoint(ctx)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	plan, err := r.cfg.Program.Graph.Plan()
	if err != nil {
		return err
	}
	if err := r.folder.clearState(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.folder.clearState()) }()
	r.attempt, err = engine.Open(ctx, r.cfg.Program, engine.Config{
		Cluster: cluster, Job: r.ledger.Job, Attempt: r.ledger.Attempt, Process: r.process, Options: r.options,
		Subtasks: plan.Tasks(), Bucket: r.store.Bucket(), Restore: restore, Events: r.inbox,
		ObjectPrefix: checkpointstore.RunPrefix(cluster, r.ledger.Job, r.ledger.Attempt, r.process),
		LocalDir:     r.folder.state(),
		OpenBucket:   r.cfg.OpenBucket, Log: r.cfg.Log,
	})
	if err != nil {
		return err
	}
	if restore != nil {
		r.cfg.Log.Info("going on from a checkpoint", "job", r.ledger.Job, "checkpoint", restore.Checkpoint, "attempt", r.ledger.Attempt)
	}
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return r.attempt.Run(inner) })
	group.Go(func() error { return r.coordinate(inner) })
	err = group.Wait()
	if errors.Is(err, errFinished) {
		return nil
	}
	return err
}

// metadata is the content of a checkpoint's metadata object.
func (r *runner) metadata(c coordinator.Complete) (*checkpointstore.Metadata, error) {
	g := r.cfg.Program.Graph
	graph, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	b := r.begun[c.ID]
	m := &checkpointstore.Metadata{
		Job: r.ledger.Job, JobName: r.ledger.Name, Attempt: r.ledger.Attempt, Checkpoint: c.ID,
		BegunAt: b.at, Trigger: string(b.trigger), GraphFingerprint: g.Fingerprint(), Graph: graph, KeyGroups: g.KeyGroups,
	}
	for _, p := range c.Parts {
		m.Processes = append(m.Processes, *p)
	}
	return m, nil
}
