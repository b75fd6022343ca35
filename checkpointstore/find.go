package checkpointstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// Found is a metadata object as its name tells of it.
type Found struct {
	Checkpoint dataflow.CheckpointID
	Term       dataflow.Term
	Key        string
	Size       int64
}

// Find lists a job's checkpoints by the metadata objects in the bucket, oldest
// first: for those who have no controller to ask. Of two objects of one
// checkpoint it gives the later leader's.
//
// A leader that died between the object and the Raft entry leaves an object that
// is not a checkpoint. All that it names was durable before, so reading it is
// safe; only a controller can tell. One that is being deleted is found while its
// metadata object is there.
func (s *Store) Find(ctx context.Context, job dataflow.JobID) ([]Found, error) {
	newest := map[dataflow.CheckpointID]Found{}
	err := s.bucket.List(ctx, MetadataPrefix(s.cluster, job), func(i objectstore.Info) error {
		f, ok := parseMetadataKey(i.Key)
		if had, there := newest[f.Checkpoint]; ok && (!there || had.Term < f.Term) {
			f.Size = i.Size
			newest[f.Checkpoint] = f
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the metadata objects of job %s: %w", job, err)
	}
	found := make([]Found, 0, len(newest))
	for _, f := range newest {
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b Found) int { return cmp.Compare(a.Checkpoint, b.Checkpoint) })
	return found, nil
}

// parseMetadataKey is the other direction of MetadataKey.
func parseMetadataKey(key string) (Found, bool) {
	id, isID := MetadataID(key)
	_, rest, _ := strings.Cut(path.Base(key), "-t")
	term, _, _ := strings.Cut(rest, "-")
	n, err := strconv.ParseUint(term, 10, 64)
	return Found{Checkpoint: id, Term: dataflow.Term(n), Key: key}, isID && err == nil
}

// ReadFound reads the metadata object with this name when nobody tells its hash:
// the header's covers the body, and the name's covers the whole object. What
// does not match is objectstore.ErrCorrupt; a missing object is ErrNotFound.
func (s *Store) ReadFound(ctx context.Context, key string) (*Metadata, error) {
	data, err := s.bucket.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	want := key[strings.LastIndex(key, "-")+1:]
	if got := hexSHA256(data); len(want) != shaInName || !strings.HasPrefix(got, want) {
		return nil, fmt.Errorf("read %s: %w: SHA-256 %s, and the name begins it with %s", key, objectstore.ErrCorrupt, got, want)
	}
	m, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return m, nil
}

// jobsListedMax bounds how many objects Jobs looks at: some twenty requests.
const jobsListedMax = 20_000

// Jobs names jobs of the cluster that have objects in the bucket, in order: those
// among the first jobsListedMax objects. It is for messages.
func (s *Store) Jobs(ctx context.Context) ([]dataflow.JobID, error) {
	prefix := s.cluster + "/jobs/"
	errEnough := errors.New("enough")
	var jobs []dataflow.JobID
	seen := 0
	err := s.bucket.List(ctx, prefix, func(i objectstore.Info) error {
		job, _, _ := strings.Cut(strings.TrimPrefix(i.Key, prefix), "/")
		if id := dataflow.JobID(job); len(jobs) == 0 || jobs[len(jobs)-1] != id {
			jobs = append(jobs, id)
		}
		if seen++; seen == jobsListedMax {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("list the jobs of cluster %s: %w", s.cluster, err)
	}
	return jobs, nil
}
