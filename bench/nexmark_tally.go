package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/metrics"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// tally is the sink of a query that is measured. Of the rows it keeps what tells whether
// they are the right ones, and how late they came. It is exactly once as other sinks are:
// what a subtask has counted between two checkpoints is its transaction, and a commit
// puts it, with the time of the commit, as one small object.
type tally struct {
	url   string
	clock dueClock
}

// dueClock tells when the events of a moment of event time were due.
type dueClock struct {
	Start int64 // when the first event was due, Unix nanoseconds
	Base  int64 // the first event's time
	// Stretch is how many nanoseconds one millisecond of event time takes; 0: nothing was due at any time.
	Stretch float64
	// WarmUp is for how long from Start on latencies don't count.
	WarmUp time.Duration
	// End is when the last event was due. What is due then or later comes of the end of the data,
	// which ends all open windows at once, and does not count.
	End time.Duration
}

// due is when event time t was due, after Start.
func (c *dueClock) due(t int64) time.Duration {
	return time.Duration(float64(t-c.Base) * c.Stretch)
}

// share is what one subtask has counted for one checkpoint.
type share struct {
	Subtask int                      `json:"subtask"`
	Rows    int64                    `json:"rows"` // that count as such
	Sum     uint64                   `json:"sum"`
	Last    map[int64]queries.Digest `json:"last,omitempty"` // of rows that replace each other, by Key
	// Latency is from when a row was due until it was written.
	Latency [][2]uint64 `json:"latency,omitempty"`
	// Due are how many rows were due in each millisecond after Start, for
	// latencies until the commit.
	Due   map[int64]uint64 `json:"due,omitempty"`
	Usage processShare     `json:"usage"`

	// Of the commit.
	Committed  time.Time   `json:"committed,omitzero"`
	ToCommit   [][2]uint64 `json:"to_commit,omitempty"`
	Checkpoint uint64      `json:"checkpoint,omitempty"`
}

// processShare is the CPU time of the process that a share was counted in, in seconds.
type processShare struct {
	Process string  `json:"process"`
	GC      float64 `json:"gc"`
	CPU     float64 `json:"cpu"`
}

// Open makes the counter of a subtask.
func (t *tally) Open(_ context.Context, env connector.Env) (connector.Writer[queries.Digest], error) {
	w := &tallyWriter{env: env, clock: t.clock}
	w.reset()
	return w, nil
}

type tallyWriter struct {
	env     connector.Env
	clock   dueClock
	share   share
	latency *histogram
}

func (w *tallyWriter) reset() {
	w.share = share{Subtask: w.env.Subtask, Last: map[int64]queries.Digest{}, Due: map[int64]uint64{}}
	w.latency = &histogram{}
}

// Write counts rows.
func (w *tallyWriter) Write(rows []queries.Digest, times []int64) error {
	for i := range rows {
		if rows[i].Version == 0 {
			w.share.Rows++
			w.share.Sum += rows[i].Sum
			continue
		}
		if last := w.share.Last[rows[i].Key]; rows[i].Version > last.Version {
			w.share.Last[rows[i].Key] = rows[i]
		}
	}
	if w.clock.Stretch > 0 {
		w.time(times)
	}
	return nil
}

// time notes how late rows are.
func (w *tallyWriter) time(times []int64) {
	now := time.Duration(time.Now().UnixNano() - w.clock.Start)
	bin, n := int64(0), uint64(0) // rows come in order of time, nearly: one entry of the map for many
	for _, t := range times {
		if t == connector.NoTime {
			continue
		}
		due := w.clock.due(t)
		if due < w.clock.WarmUp || due >= w.clock.End {
			continue
		}
		w.latency.add(now - due)
		if ms := due.Milliseconds(); ms != bin {
			w.bin(bin, n)
			bin, n = ms, 0
		}
		n++
	}
	w.bin(bin, n)
}

func (w *tallyWriter) bin(ms int64, n uint64) {
	if n > 0 {
		w.share.Due[ms] += n
	}
}

// Prepare makes what was counted the transaction of a checkpoint.
func (w *tallyWriter) Prepare(id dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	s := w.share
	s.Latency, s.Checkpoint, s.Usage = w.latency.sparse(), uint64(id), usageOfProcess(w.env.Process)
	w.reset()
	return func(context.Context) ([][]byte, error) {
		payload, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("tally: %w", err)
		}
		return [][]byte{payload}, nil
	}, nil
}

// Close has nothing to drop.
func (w *tallyWriter) Close() error { return nil }

// usageOfProcess is what the process has used so far.
func usageOfProcess(name dataflow.Incarnation) processShare {
	samples := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/idle:cpu-seconds"}}
	metrics.Read(samples)
	return processShare{Process: string(name), GC: samples[0].Value.Float64() - samples[1].Value.Float64(), CPU: processCPU().Seconds()}
}

// Commit writes the shares of the transactions, those that are not there yet: a commit
// that is repeated is later, and does not count.
func (t *tally) Commit(ctx context.Context, env connector.Env, txns []snapshot.Transaction) (err error) {
	if len(txns) == 0 {
		return nil
	}
	b, err := env.OpenBucket(ctx, t.url)
	if err != nil {
		return fmt.Errorf("tally: open %s: %w", t.url, err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	now := time.Now()
	for _, txn := range txns {
		if err := t.commit(ctx, b, env, txn.Payload, now); err != nil {
			return fmt.Errorf("tally: commit checkpoint %d: %w", txn.Checkpoint, err)
		}
	}
	return nil
}

func (t *tally) commit(ctx context.Context, b objectstore.Bucket, env connector.Env, payload []byte, now time.Time) error {
	var s share
	if err := json.Unmarshal(payload, &s); err != nil {
		return err
	}
	var h histogram
	after := time.Duration(now.UnixNano() - t.clock.Start)
	for ms, n := range s.Due {
		h.addMany(after-time.Duration(ms)*time.Millisecond, n)
	}
	s.Committed, s.ToCommit, s.Due = now, h.sparse(), nil
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	err = b.Put(ctx, shareKey(env.Job, env.UID, &s), data, objectstore.PutOptions{IfAbsent: true})
	if errors.Is(err, objectstore.ErrExists) {
		return nil
	}
	return err
}

func sharesPrefix(job dataflow.JobID, uid dataflow.UID) string {
	return string(job) + "/" + string(uid) + "/share-"
}

func shareKey(job dataflow.JobID, uid dataflow.UID, s *share) string {
	return fmt.Sprintf("%s%012d-%05d.json", sharesPrefix(job, uid), s.Checkpoint, s.Subtask)
}

// Forget has nothing to do: a payload is all that a commit needs.
func (t *tally) Forget(context.Context, connector.Env, []snapshot.Transaction) error { return nil }

// AbortAfter has nothing to do: nothing is staged.
func (t *tally) AbortAfter(context.Context, connector.Env, dataflow.CheckpointID) error { return nil }

var (
	_ connector.Sink[queries.Digest] = (*tally)(nil)
	_ connector.Transactional        = (*tally)(nil)
)
