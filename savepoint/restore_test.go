package savepoint_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/savepoint"
	"github.com/cairnstream/cairn/stream"
)

// keep lets another program read what TestJobMovesThroughSavepoints writes.
var keep = flag.String("keep", "", "an empty folder in which the savepoints of the moving job stay, as after/1 and after/2")

// payment is a record of the job below.
type payment struct {
	Account int64
	Amount  int64
}

// balance is what the job keeps for each account, and wider what its next version does.
type balance struct {
	Amount   int64
	Payments int32
}

type wider struct {
	Amount   int64
	Payments int64
	Note     string
}

// keepBalance adds a payment up and emits it, so that the output tells how far the job is.
type keepBalance struct{ of *stream.Value[balance] }

func (*keepBalance) OnTimer(*stream.Context[int64, payment], stream.Timer) error { return nil }

func (k *keepBalance) Open(s *stream.Setup) error {
	k.of = stream.ValueState[balance](s, "balance")
	return nil
}

func (k *keepBalance) Process(ctx *stream.Context[int64, payment], p payment) error {
	ctx.Emit(p)
	return k.of.Update(func(b *balance, _ bool) { b.Amount, b.Payments = b.Amount+p.Amount, b.Payments+1 })
}

// keepWider is the next version: with a field added, and one that has grown.
type keepWider struct{ of *stream.Value[wider] }

func (*keepWider) OnTimer(*stream.Context[int64, payment], stream.Timer) error { return nil }

func (k *keepWider) Open(s *stream.Setup) error {
	k.of = stream.ValueState[wider](s, "balance")
	return nil
}

func (k *keepWider) Process(ctx *stream.Context[int64, payment], p payment) error {
	ctx.Emit(p)
	return k.of.Update(func(b *wider, _ bool) { b.Amount, b.Payments, b.Note = b.Amount+p.Amount, b.Payments+1, "seen" })
}

const (
	accounts = 100_000
	phases   = 4 // one payment for each account in each
	splits   = 4
)

// bank is the job: a run of it stops at the end of each phase.
type bank struct {
	t      *testing.T
	source *enginetest.Source[payment]
	sink   *enginetest.Sink[payment]
	phase  int
	kill   atomic.Pointer[enginetest.Cluster]
	polls  atomic.Int64
}

func newBank(t *testing.T) *bank {
	b := &bank{t: t, sink: enginetest.NewSink[payment](), source: &enginetest.Source[payment]{Slices: make([][]payment, splits)}}
	for phase := range phases {
		for a := range accounts {
			b.source.Slices[a%splits] = append(b.source.Slices[a%splits], payment{int64(a), int64(a + phase)})
		}
	}
	b.source.Hold = func(_, position int) bool {
		if b.phase == phases || position < b.phase*accounts/splits {
			return false
		}
		if b.polls.Add(1)%50 == 0 && len(b.sink.Committed()) == b.phase*accounts {
			b.kill.Load().Kill() // a checkpoint of all of them is complete
		}
		return true
	}
	return b
}

// run runs the job until the end of a phase and returns the checkpoint.
func (b *bank) run(phase int, from *engine.Restore, backend string, parallelism int, next bool) (*enginetest.Cluster, *engine.Restore) {
	b.t.Helper()
	b.phase = phase
	c := enginetest.New(uint64(phase), 2)
	c.Options.BatchRows, c.Options.State.Backend = 1000, backend
	c.Adopt(from)
	b.kill.Store(c)
	p := stream.NewPipeline("bank")
	p.KeyGroups(groups)
	p.Parallelism(parallelism)
	s := stream.From(p, "in", b.source, stream.UID("in"), stream.Parallelism(2))
	k := stream.KeyBy(s, func(p payment) int64 { return p.Account })
	keep := func() stream.Processor[int64, payment, payment] { return &keepBalance{} }
	if next {
		keep = func() stream.Processor[int64, payment, payment] { return &keepWider{} }
	}
	stream.To(stream.Process(k, "keep", keep, stream.UID("keep")), "out", b.sink, stream.UID("out"))
	err := c.Run(b.t.Context(), must[*engine.Program](b.t)(p.Program()))
	if phase < phases && !errors.Is(err, enginetest.ErrKilled) || phase == phases && err != nil {
		b.t.Fatalf("phase %d: %v", phase, err)
	}
	return c, c.Restore()
}

// metadata is a checkpoint's.
func (b *bank) metadata(r *engine.Restore) *checkpointstore.Metadata {
	return &checkpointstore.Metadata{
		Format: checkpointstore.Format, Cluster: "test", Job: "job", Attempt: r.Attempt, Checkpoint: r.Checkpoint,
		Graph: []byte(`{}`), KeyGroups: groups, Processes: r.Processes,
	}
}

// folders is a bucket for a savepoint.
func (b *bank) folders() objectstore.Bucket {
	if *keep == "" {
		return mem.New()
	}
	return must[objectstore.Bucket](b.t)(file.Open(*keep, file.Options{}))
}

// save writes a savepoint and returns what to restore from.
func (b *bank) save(c *enginetest.Cluster, r *engine.Restore) *engine.Restore {
	b.t.Helper()
	to, folder := b.folders(), fmt.Sprintf("after/%d/", b.phase)
	_, err := savepoint.Write(b.t.Context(), savepoint.WriteConfig{
		Bucket: c.Bucket, Metadata: b.metadata(r), To: to, Folder: folder, TempDir: b.t.TempDir(), MemoryBytes: 16 << 20,
	})
	check(b.t, err)
	m := must[*checkpointstore.Metadata](b.t)(savepoint.Open(b.t.Context(), to, folder))
	b.sum(to, folder, m)
	return &engine.Restore{
		Checkpoint: m.Checkpoint, Attempt: m.Attempt, KeyGroups: m.KeyGroups, Processes: m.Processes, CommitsKnown: r.CommitsKnown,
		Bucket: to, Prefix: folder,
	}
}

// sum holds the typed columns against what the accounts must have by now.
func (b *bank) sum(from objectstore.Bucket, folder string, m *checkpointstore.Metadata) {
	b.t.Helper()
	type row struct {
		Key   int64   `parquet:"key"`
		Value balance `parquet:"value"`
	}
	seen := 0
	for _, f := range m.Folder.Files {
		if f.State != "balance" {
			continue
		}
		data := must[[]byte](b.t)(from.Get(b.t.Context(), folder+f.Name, 0, -1))
		for _, r := range must[[]row](b.t)(parquet.Read[row](bytes.NewReader(data), int64(len(data)))) {
			want := int64(b.phase)*r.Key + int64(b.phase*(b.phase-1)/2)
			if seen++; r.Value.Amount != want || int(r.Value.Payments) != b.phase {
				b.t.Fatalf("account %d: %+v, want %d of %d payments", r.Key, r.Value, want, b.phase)
			}
		}
	}
	if seen != accounts {
		b.t.Errorf("%d accounts, want %d", seen, accounts)
	}
}

// ownObjects fails if a checkpoint names an object that its own bucket does not have.
func (b *bank) ownObjects(c *enginetest.Cluster, r *engine.Restore) {
	b.t.Helper()
	for _, p := range r.Processes {
		for _, run := range p.Objects {
			for n := run.Lo; n <= run.Hi; n++ {
				must[[]byte](b.t)(c.Bucket.Get(b.t.Context(), fmt.Sprintf("%s%012d.0", run.Prefix, n), 0, -1))
			}
		}
	}
}

// TestJobMovesThroughSavepoints: 100,000 keys, from 4 subtasks on memory to 7 on lsm, to 3 on memory with
// a field added, by canonical savepoints in other buckets, and once by a copy of a native
// checkpoint. Each savepoint has the totals of its moment, and the output at the end is
// everything once.
func TestJobMovesThroughSavepoints(t *testing.T) {
	b := newBank(t)
	c, r := b.run(1, nil, dataflow.BackendMemory, 4, false)
	c, r = b.run(2, b.save(c, r), dataflow.BackendLSM, 7, false)
	b.ownObjects(c, r)
	c, r = b.run(3, b.save(c, r), dataflow.BackendMemory, 3, true)
	b.ownObjects(c, r)
	b.phase = 3
	type row struct {
		Key   int64 `parquet:"key"`
		Value wider `parquet:"value"`
	}
	native := *r
	native.Bucket = c.Bucket
	c, r = b.run(4, &native, dataflow.BackendMemory, 2, true)
	b.ownObjects(c, r)
	sums := map[int64]int64{}
	for _, p := range b.sink.Committed() {
		sums[p.Account] += p.Amount
	}
	for a := range int64(accounts) {
		if want := phases*a + phases*(phases-1)/2; sums[a] != want {
			t.Fatalf("account %d: the output adds up to %d, want %d", a, sums[a], want)
		}
	}
	to := mem.New()
	_, err := savepoint.Write(t.Context(), savepoint.WriteConfig{Bucket: c.Bucket, Metadata: b.metadata(r), To: to})
	check(t, err)
	m := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), to, ""))
	for _, f := range m.Folder.Files {
		if !strings.HasPrefix(f.Name, "operators/keep/balance-") {
			continue
		}
		data := must[[]byte](t)(to.Get(t.Context(), f.Name, 0, -1))
		for _, r := range must[[]row](t)(parquet.Read[row](bytes.NewReader(data), int64(len(data)))) {
			if r.Value != (wider{phases*r.Key + phases*(phases-1)/2, phases, "seen"}) {
				t.Fatalf("account %d: %+v", r.Key, r.Value)
			}
			delete(sums, r.Key)
		}
	}
	if len(sums) > 0 {
		t.Errorf("%d accounts are not in the last savepoint", len(sums))
	}
}
