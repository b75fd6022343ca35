package admin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/state/inspect"
)

func (t *tree) checkpointVerifyCommand() *cobra.Command {
	var all bool
	cmd := t.storedCommand(&cobra.Command{
		Use:   "verify JOB [CHECKPOINT | --all]",
		Short: "Read and check every byte of a checkpoint, restore it into a scratch store, and say whether it is restorable",
		Long: `Reads the metadata object and every object of a checkpoint, compares each whole object and each segment
with its checksum, and restores all keyed state into scratch stores, one subtask at a time. Without a
number it takes the newest checkpoint. The exit code is 0 only if all that was verified is restorable.`,
		Args:              Args(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: t.completeCheckpoint,
	}, func(ctx context.Context, s *stored, given []string) error {
		found, err := s.choose(given[1:], all)
		if err != nil {
			return err
		}
		return t.checkpointVerify(ctx, s, found)
	})
	cmd.Flags().BoolVar(&all, "all", false, "verify all checkpoints, the newest first")
	return cmd
}

// choose returns the checkpoints to verify, the newest first.
func (s *stored) choose(given []string, all bool) ([]checkpointstore.Found, error) {
	if all && len(given) > 0 {
		return nil, usagef("checkpoint %s and --all: give one of them", given[0])
	}
	if all {
		return s.newestFirst(), nil
	}
	id := uint64(0)
	if len(given) > 0 {
		var err error
		if id, err = checkpointID(given[0]); err != nil {
			return nil, err
		}
	}
	f, err := s.pick(id)
	return []checkpointstore.Found{f}, err
}

// verdict is what a verification found, as JSON.
type verdict struct {
	Checkpoint  dataflow.CheckpointID `json:"checkpoint"`
	Restorable  bool                  `json:"restorable"`
	Dropped     bool                  `json:"dropped"` // by the job, while it was read: it is not damaged
	MetadataKey string                `json:"metadata_key"`
	Objects     int                   `json:"objects"`
	Bytes       int64                 `json:"bytes"`
	Entries     int64                 `json:"entries"`         // of keyed state
	RestoreS    float64               `json:"restore_seconds"` // of the time, restoring
	Seconds     float64               `json:"seconds"`
	Problems    []problemView         `json:"problems"`
}

// problemView is something damaged, as JSON.
type problemView struct {
	Object   string                  `json:"object"` // empty: none in particular
	Operator string                  `json:"operator"`
	Error    string                  `json:"error"`
	NeededBy []dataflow.CheckpointID `json:"needed_by"` // newest first
}

// verify reads one checkpoint. The error is for what is no verdict.
func (s *stored) verify(ctx context.Context, f checkpointstore.Found, p *progress) (verdict, error) {
	begun := time.Now()
	v := verdict{Checkpoint: f.Checkpoint, MetadataKey: f.Key, Problems: []problemView{}}
	err := s.verifyInto(ctx, &v, p)
	v.Seconds = time.Since(begun).Seconds()
	if err != nil {
		return v, fmt.Errorf("checkpoint %d: %w", f.Checkpoint, err)
	}
	if len(v.Problems) == 0 {
		return v, nil
	}
	if v.Dropped, err = s.dropped(ctx, f.Checkpoint); err != nil || v.Dropped {
		return v, err
	}
	return v, s.blame(ctx, &v)
}

func (s *stored) verifyInto(ctx context.Context, v *verdict, p *progress) error {
	m, err := s.store.ReadFound(ctx, v.MetadataKey)
	if errors.Is(err, objectstore.ErrCorrupt) || errors.Is(err, objectstore.ErrNotFound) {
		v.Problems = append(v.Problems, problemView{Object: v.MetadataKey, Error: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cairn-verify-")
	if err != nil {
		return fmt.Errorf("scratch folder: %w", err)
	}
	defer os.RemoveAll(dir)
	report, err := changelog.Verify(ctx, changelog.VerifyConfig{
		Bucket: s.bucket, Processes: m.Processes, Open: scratchIn(dir), Progress: p.bytes(fmt.Sprintf("checkpoint %d:", v.Checkpoint)),
	})
	if err != nil {
		return err
	}
	v.take(report, m)
	return nil
}

// scratchIn opens stores in dir. Verify has one at a time; the next takes its place.
func scratchIn(dir string) func(uid dataflow.UID, k snapshot.Keyed) (changelog.Scratch, error) {
	own := filepath.Join(dir, "store")
	return func(_ dataflow.UID, k snapshot.Keyed) (changelog.Scratch, error) {
		if err := errors.Join(os.RemoveAll(own), os.Mkdir(own, 0o755)); err != nil {
			return nil, err
		}
		return inspect.OpenScratch(k.Backend, k.GroupLo, k.GroupHi, own)
	}
}

func (v *verdict) take(r *changelog.Report, m *checkpointstore.Metadata) {
	v.Restorable, v.Objects, v.Bytes, v.RestoreS = r.Restorable(), r.Objects, r.Bytes, r.Replay.Seconds()
	for _, o := range inspect.Operators(m.Processes) {
		entries, _ := o.Entries()
		v.Entries += entries
	}
	for _, p := range r.Problems {
		v.Problems = append(v.Problems, problemView{Object: p.Object, Operator: string(p.UID), Error: p.Err.Error()})
	}
}

// blame finds out which checkpoints need what is damaged. Of those whose own
// metadata can't be read nobody can tell.
func (s *stored) blame(ctx context.Context, v *verdict) error {
	for _, f := range s.newestFirst() {
		var processes []snapshot.Process
		m, err := s.store.ReadFound(ctx, f.Key)
		switch {
		case err == nil:
			processes = m.Processes
		case !errors.Is(err, objectstore.ErrCorrupt) && !errors.Is(err, objectstore.ErrNotFound):
			return fmt.Errorf("checkpoint %d: %w", f.Checkpoint, err)
		}
		for i := range v.Problems {
			if p := &v.Problems[i]; f.Checkpoint == v.Checkpoint || names(processes, p.Object) {
				p.NeededBy = append(p.NeededBy, f.Checkpoint)
			}
		}
	}
	return nil
}

// names tells whether a checkpoint's objects include the one of this name.
func names(processes []snapshot.Process, object string) bool {
	for _, p := range processes {
		for _, run := range p.Objects {
			if checkpointstore.InRun(run, object) {
				return true
			}
		}
	}
	return false
}
