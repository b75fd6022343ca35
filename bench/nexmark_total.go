package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

// total is what all shares of a run say together.
type total struct {
	rows     int64
	sum      uint64
	latency  histogram // from due to written
	toCommit histogram // from due to committed
	gc, cpu  float64   // seconds, of the processes that counted
	last     time.Time // the last commit
}

// readTotal adds up the shares that a job has committed. One that has committed none yet may not
// have made their folder either.
func readTotal(ctx context.Context, url string, job dataflow.JobID) (t *total, err error) {
	b, err := open.Open(ctx, url, open.Options{Create: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	t = &total{}
	last, used := map[int64]queries.Digest{}, map[string]processShare{}
	var keys []string
	err = b.List(ctx, sharesPrefix(job, queries.DigestsUID), func(o objectstore.Info) error {
		keys = append(keys, o.Key)
		return nil
	})
	for _, key := range keys {
		if err == nil {
			err = t.read(ctx, b, key, last, used)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the tally: %w", err)
	}
	for _, d := range last {
		t.rows++
		t.sum += d.Sum
	}
	for _, u := range used {
		t.gc += u.GC
		t.cpu += u.CPU
	}
	return t, nil
}

// read adds one share.
func (t *total) read(ctx context.Context, b objectstore.Bucket, key string, last map[int64]queries.Digest, used map[string]processShare) error {
	data, err := b.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	var s share
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	t.rows += s.Rows
	t.sum += s.Sum
	t.latency.merge(s.Latency)
	t.toCommit.merge(s.ToCommit)
	for k, d := range s.Last {
		if d.Version > last[k].Version {
			last[k] = d
		}
	}
	if u := s.Usage; u.CPU > used[u.Process].CPU {
		used[u.Process] = u
	}
	if s.Committed.After(t.last) {
		t.last = s.Committed
	}
	return nil
}
