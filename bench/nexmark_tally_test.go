package bench

import (
	"context"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/snapshot"
)

// counted writes rows through a tally as one checkpoint and returns its transactions.
func counted(t *testing.T, s *tally, env connector.Env, id dataflow.CheckpointID, rows []queries.Digest, times []int64) []snapshot.Transaction {
	t.Helper()
	w, err := s.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rows, times); err != nil {
		t.Fatal(err)
	}
	finish, err := w.Prepare(id)
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := finish(t.Context())
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return []snapshot.Transaction{{Checkpoint: id, Attempt: env.Attempt, Payload: payloads[0]}}
}

// TestTallyCountsOnce: what is committed counts, whoever commits it and however often.
func TestTallyCountsOnce(t *testing.T) {
	dir := t.TempDir()
	env := connector.Env{Job: "job", UID: queries.DigestsUID, Process: "p", OpenBucket: func(context.Context, string) (objectstore.Bucket, error) {
		return file.Open(dir, file.Options{})
	}}
	s := &tally{url: "file://" + dir, clock: dueClock{Start: time.Now().Add(-time.Second).UnixNano(), Stretch: 1e6, WarmUp: 100 * time.Millisecond, End: 900 * time.Millisecond}}
	once := func(sum uint64) queries.Digest { return queries.Digest{Sum: sum} }
	txns := counted(t, s, env, 1, []queries.Digest{once(5), once(7), {Sum: 100, Key: 1, Version: 2}, {Sum: 50, Key: 1, Version: 1}}, []int64{50, 300, 300, connector.NoTime})
	lost := counted(t, s, env, 2, []queries.Digest{once(1000)}, []int64{400})
	txns = append(txns, counted(t, s, env, 3, []queries.Digest{once(11), {Sum: 3, Key: 1, Version: 3}, once(13)}, []int64{500, 500, 900})...)
	for range 2 {
		if err := s.Commit(t.Context(), env, txns); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readTotal(t.Context(), s.url, "job")
	if err != nil {
		t.Fatal(err)
	}
	if got.rows != 5 || got.sum != 5+7+11+3+13 {
		t.Errorf("%d rows with the sum %d, want 5 with 39; one of %d was not committed", got.rows, got.sum, len(lost))
	}
	if got.latency.n != 4 || got.toCommit.n != 4 {
		t.Errorf("%d latencies and %d until the commit, want those of the 4 rows between the warm-up and the end", got.latency.n, got.toCommit.n)
	}
	if least := 500 * time.Millisecond; got.latency.max < least || got.toCommit.max < got.latency.percentile(1) {
		t.Errorf("latencies up to %v and %v, want at least %v", got.latency.max, got.toCommit.max, least)
	}
}

func TestHistogramsAddUp(t *testing.T) {
	var a, b, both, sum histogram
	for i := range 1000 {
		d := time.Duration(i*i) * time.Microsecond
		if both.add(d); i%3 == 0 {
			a.add(d)
		} else {
			b.addMany(d, 1)
		}
	}
	sum.merge(a.sparse())
	sum.merge(b.sparse())
	if sum != both {
		t.Errorf("%d values up to %v, want %d up to %v", sum.n, sum.max, both.n, both.max)
	}
	if got := (&histogram{}).sparse(); got != nil {
		t.Errorf("an empty one is %v", got)
	}
}
