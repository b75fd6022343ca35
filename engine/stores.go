package engine

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

// newUploader makes what keeps the state of a process's share durable.
func newUploader(cfg *Config) (*changelog.Uploader, error) {
	o := cfg.Options.State
	return changelog.New(changelog.Config{
		Bucket: cfg.Bucket, Prefix: cfg.ObjectPrefix, Log: cfg.Log,
		LocalDir: cfg.LocalDir, SpoolOnly: !localRecovery(cfg), SpoolBytes: o.SpoolBytes,
		Compression: o.Compression, RecoveryTarget: o.RecoveryTarget, LogBytes: o.LogBytes,
	})
}

// localRecovery tells whether objects are kept on this machine for a later
// attempt.
func localRecovery(cfg *Config) bool { return cfg.Options.State.LocalRecovery != "off" }

// openStore opens the store of operator i of a subtask, still empty.
func (b *builder) openStore(task dataflow.TaskID, i int, o *opening) (err error) {
	lo, hi := dataflow.GroupRange(o.op.KeyGroups, o.op.Parallelism, o.op.Subtask)
	if o.log, err = b.a.uploader.Log(fmt.Sprintf("%v/%s", task, o.op.UID), lo, hi); err != nil {
		return err
	}
	name := fmt.Sprintf("%d-%d.%d-%d", b.a.cfg.Attempt, task.Vertex, task.Subtask, i)
	store, err := b.a.backend.open(name, lo, hi, o.log)
	if err != nil {
		return err
	}
	store.keySchema = b.a.program.Operators[o.op.UID].keySchema()
	o.op.Store = store.forProgram()
	b.a.logs[task] = append(b.a.logs[task], o.log)
	b.a.stores[o.log] = store
	if o.restored == nil {
		return nil
	}
	b.logs = append(b.logs, o.log)
	b.targets = append(b.targets, changelog.Target{
		Name: fmt.Sprintf("operator %q", o.op.UID), Handles: o.restored.keyed(), GroupLo: lo, GroupHi: hi, Into: store.loader,
	})
	return nil
}

// checkKeys refuses keys that are encoded in another way: they would not be found.
func (r *restored) checkKeys(schema string) error {
	for _, k := range r.keyed() {
		if k.KeySchema != "" && !codec.Identical(k.KeySchema, schema) {
			return fmt.Errorf("key: %w: stored as %s, the program has %s; keys can not be changed",
				state.ErrIncompatible, k.KeySchema, schema)
		}
	}
	return nil
}

// restore fills all stores from the checkpoint.
func (b *builder) restore(ctx context.Context) error {
	from := b.a.cfg.Restore
	if from == nil {
		return nil
	}
	cfg := changelog.RestoreConfig{
		Bucket:   b.a.cfg.Bucket,
		Progress: func(p changelog.Progress) { b.a.cfg.Events.Restoring(RestoreProgress(p)) },
	}
	targets := b.targets
	var err error
	if from.foreign() {
		if targets, err = b.copyForeign(ctx, &cfg); err != nil {
			return fmt.Errorf("restore checkpoint %d: %w", from.Checkpoint, err)
		}
	} else {
		for _, p := range from.Processes {
			b.a.uploader.InheritSums(p.Objects, p.Sums)
		}
	}
	if b.a.cfg.LocalDir != "" && localRecovery(&b.a.cfg) {
		cfg.Local = changelog.OpenLocal(filepath.Join(b.a.cfg.LocalDir, changelog.LocalFolder))
	}
	done, err := changelog.RestoreAll(ctx, cfg, targets)
	if err != nil {
		return fmt.Errorf("restore checkpoint %d: %w", from.Checkpoint, err)
	}
	for i, log := range b.logs {
		log.Inherit(done.Inherited[i])
	}
	b.a.restored = done.Progress
	return nil
}
