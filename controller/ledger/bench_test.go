package ledger

import (
	"fmt"
	"io"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/snapshot"
)

// BenchmarkCheckpoint is a checkpoint's begin and completion with 16 processes,
// by the number of jobs that the ledger holds.
func BenchmarkCheckpoint(b *testing.B) {
	for _, jobs := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			w := manyJobs(b, jobs)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				w.log = w.log[:0]
				w.wideCheckpoint(dataflow.JobID(fmt.Sprint("job-", i%jobs)))
				i++
			}
		})
	}
}

// BenchmarkRetained is the same by the number of checkpoints that a job retains.
func BenchmarkRetained(b *testing.B) {
	for _, retained := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("retained=%d", retained), func(b *testing.B) {
			w := setup(b)
			w.ok(&SubmitJob{Job: "j", Options: dataflow.Options{Retained: retained}})
			w.run("j")
			for range retained + historyMax {
				w.log = w.log[:0]
				w.wideCheckpoint("j")
			}
			b.ReportAllocs()
			for b.Loop() {
				w.log = w.log[:0]
				w.wideCheckpoint("j")
			}
			b.ReportMetric(float64(len(w.snapshot())), "snapshot-bytes")
		})
	}
}

// BenchmarkFreeze is how long Snapshot keeps Apply waiting; BenchmarkPersist is
// the writing beside it, per job with a full catalog.
func BenchmarkFreeze(b *testing.B) {
	w := manyJobs(b, 10_000)
	for b.Loop() {
		if _, err := w.ledger.Snapshot(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPersist(b *testing.B) {
	const jobs = 1000
	w := manyJobs(b, jobs)
	for b.Loop() {
		persist, err := w.ledger.Snapshot()
		if err != nil {
			b.Fatal(err)
		}
		if err := persist(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(w.snapshot()))/jobs, "bytes/job")
}

func manyJobs(b *testing.B, jobs int) *world {
	w := setup(b)
	for i := range jobs {
		id := dataflow.JobID(fmt.Sprint("job-", i))
		w.submit(id)
		w.run(id)
		for range 3 {
			w.wideCheckpoint(id)
		}
	}
	return w
}

func (w *world) wideCheckpoint(id dataflow.JobID) {
	cp := w.begin(id, 1, "periodic")
	c := completion(id, 1, cp, false)
	c.Objects = nil
	for p := range 16 {
		c.Objects = append(c.Objects, snapshot.Run{Prefix: fmt.Sprintf("cluster/jobs/%s/1/process-%d/", id, p), Lo: 1, Hi: uint64(cp)})
	}
	w.ok(c)
	g := w.job(id).Catalog.Garbage()
	if _, err := w.ledger.Apply(ha.Entry{Index: 1, Term: w.term, Data: Encode(&ForgetGarbage{Header: Header{Term: dataflow.Term(w.term)}, Job: id, Runs: g.Runs, Single: g.Single})}); err != nil {
		w.t.Fatal(err)
	}
}
