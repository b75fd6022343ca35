package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/claim"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/wire"
)

// stored is a job's completed checkpoints in the bucket: what the commands read
// that look inside, without the job, and without a controller if the bucket is
// named on the command line.
type stored struct {
	bucket objectstore.Bucket
	store  *checkpointstore.Store
	job    dataflow.JobID
	found  []checkpointstore.Found // oldest first, never empty
	// again finds them anew: a running job drops its oldest while they are read.
	again func(ctx context.Context) ([]checkpointstore.Found, error)
	read  []dataflow.CheckpointID // what was read
}

// storedCommand is a command that reads a job's checkpoints, with its flag
// --object-store. The job is its first argument.
func (t *tree) storedCommand(cmd *cobra.Command, work func(ctx context.Context, s *stored, given []string) error) *cobra.Command {
	var url string
	cmd.Flags().StringVar(&url, "object-store", "", "read this bucket, without asking a controller (default: the cluster's, as its controllers name it)")
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		if url == "" {
			return t.run(func(ctx context.Context, c *Client, given []string) error {
				s, err := askStored(ctx, c, given[0])
				if status.Code(err) == codes.Unavailable {
					err = fmt.Errorf("%w; with --object-store URL none is needed", err)
				}
				return t.withStored(ctx, s, err, given, work)
			})(cmd, given)
		}
		if err := t.checkFlags(); err != nil {
			return err
		}
		ctx := cmd.Context()
		s, err := findStored(ctx, url, given[0])
		err = t.withStored(ctx, s, err, given, work)
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("%s: %w", cmd.CommandPath(), ErrInterrupted)
		}
		return err
	}
	return cmd
}

// withStored does the work if there is no error yet, and closes s.
func (t *tree) withStored(ctx context.Context, s *stored, err error, given []string, work func(context.Context, *stored, []string) error) error {
	if err != nil {
		return err
	}
	defer s.bucket.Close() // only read
	err = work(ctx, s, given)
	if !errors.Is(err, objectstore.ErrNotFound) {
		return err
	}
	for _, id := range s.read {
		if dropped, askErr := s.dropped(ctx, id); askErr == nil && dropped {
			return status.Errorf(codes.NotFound, "checkpoint %d of job %s was dropped while it was read: the job keeps only its newest; take a newer one, or let it keep more", id, s.job)
		}
	}
	return err
}

// dropped tells whether a checkpoint that was there has been dropped since: by
// retention, or by hand.
func (s *stored) dropped(ctx context.Context, id dataflow.CheckpointID) (bool, error) {
	found, err := s.again(ctx)
	return !slices.ContainsFunc(found, func(f checkpointstore.Found) bool { return f.Checkpoint == id }), err
}

// askStored asks the cluster for its bucket and for what can be restored.
func askStored(ctx context.Context, c *Client, job string) (*stored, error) {
	cluster, err := call(ctx, c, "find the object store", wire.ControlClient.ClusterStatus, &wire.ClusterStatusRequest{})
	if err != nil {
		return nil, err
	}
	s := &stored{job: dataflow.JobID(job)}
	s.again = func(ctx context.Context) ([]checkpointstore.Found, error) { return askFound(ctx, c, job) }
	if s.found, err = s.again(ctx); err != nil {
		return nil, err
	}
	if len(s.found) == 0 {
		return nil, status.Errorf(codes.NotFound, "job %s has no completed checkpoint yet; `cairn checkpoint trigger %s` takes one", job, job)
	}
	if s.bucket, err = open.Open(ctx, cluster.ObjectStore, open.Options{}); err != nil {
		return nil, fmt.Errorf("open %s, the cluster's object store: %w; if this machine reaches it elsewhere, say so with --object-store", cluster.ObjectStore, err)
	}
	s.store = checkpointstore.New(s.bucket, cluster.Cluster)
	return s, nil
}

// askFound asks for the checkpoints that can be restored.
func askFound(ctx context.Context, c *Client, job string) ([]checkpointstore.Found, error) {
	list, err := call(ctx, c, "find the checkpoints", wire.ControlClient.ListCheckpoints, &wire.ListCheckpointsRequest{Job: job})
	if err != nil {
		return nil, err
	}
	var found []checkpointstore.Found
	for _, k := range slices.Backward(list.Checkpoints) { // they come newest first
		if k.Restorable {
			found = append(found, checkpointstore.Found{Checkpoint: dataflow.CheckpointID(k.Id), Key: k.MetadataKey, Size: k.MetadataSize})
		}
	}
	return found, nil
}

// findStored looks for a job's metadata objects in a bucket.
func findStored(ctx context.Context, url, job string) (*stored, error) {
	bucket, err := open.Open(ctx, url, open.Options{})
	if errors.Is(err, open.ErrURL) {
		return nil, usagef("--object-store: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", url, err)
	}
	s, err := findIn(ctx, bucket, dataflow.JobID(job))
	if err != nil {
		return nil, errors.Join(err, bucket.Close())
	}
	return s, nil
}

func findIn(ctx context.Context, bucket objectstore.Bucket, job dataflow.JobID) (*stored, error) {
	owner, err := claim.Read(ctx, bucket)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "%s holds no cluster's data (no object %s): give the --object-store that the controllers have, with its prefix", bucket.URL(), claim.Key)
	}
	if err != nil {
		return nil, err
	}
	s := &stored{bucket: bucket, store: checkpointstore.New(bucket, owner.Cluster), job: job}
	s.again = func(ctx context.Context) ([]checkpointstore.Found, error) { return s.store.Find(ctx, job) }
	if s.found, err = s.again(ctx); err != nil {
		return nil, err
	}
	if len(s.found) == 0 {
		jobs, err := s.store.Jobs(ctx)
		if err != nil {
			return nil, err
		}
		return nil, status.Errorf(codes.NotFound, "job %q has no checkpoint in %s; jobs there: %s", job, bucket.URL(), nameList(jobs))
	}
	return s, nil
}

// nameList is names for a message.
func nameList[T ~string](names []T) string {
	if len(names) == 0 {
		return "none"
	}
	const most = 20
	var texts []string
	for _, n := range names[:min(most, len(names))] {
		texts = append(texts, string(n))
	}
	if len(names) > most {
		texts = append(texts, fmt.Sprintf("and %d more", len(names)-most))
	}
	return strings.Join(texts, ", ")
}

// pick returns a checkpoint; 0 is the newest.
func (s *stored) pick(id uint64) (checkpointstore.Found, error) {
	if id == 0 {
		return s.found[len(s.found)-1], nil
	}
	var ids []string
	for _, f := range s.found {
		if uint64(f.Checkpoint) == id {
			return f, nil
		}
		ids = append(ids, fmt.Sprint(f.Checkpoint))
	}
	return checkpointstore.Found{}, status.Errorf(codes.NotFound, "job %s has no checkpoint %d that can be restored; it has %s", s.job, id, nameList(ids))
}

// open picks a checkpoint and reads its metadata object.
func (s *stored) open(ctx context.Context, id uint64) (*checkpointstore.Metadata, error) {
	f, err := s.pick(id)
	if err != nil {
		return nil, err
	}
	s.read = append(s.read, f.Checkpoint)
	m, err := s.store.ReadFound(ctx, f.Key)
	if err != nil {
		return nil, fmt.Errorf("metadata of checkpoint %d: %w", f.Checkpoint, err)
	}
	return m, nil
}
