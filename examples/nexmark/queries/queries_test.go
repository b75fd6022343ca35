package queries_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/examples/nexmark/answers"
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
	"github.com/cairnstream/cairn/stream"
)

// program builds a query over a source.
func program(t testing.TB, q queries.Query, src nexmark.Source, parallelism int, to queries.Outputs) *engine.Program {
	t.Helper()
	p := stream.NewPipeline("nexmark")
	p.Parallelism(parallelism)
	q.Add(p, src, to)
	prog, err := p.Program()
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

// TestQueriesAnswerAsPlainLoopsDo runs every query over events of a random seed, at random
// parallelisms, killed a few times: its rows add up to those of the plain loops.
func TestQueriesAnswerAsPlainLoopsDo(t *testing.T) {
	base := uint64(time.Now().UnixNano()) % 1_000_000
	for i, q := range queries.All {
		seed := base + uint64(i)
		t.Run(fmt.Sprintf("%s seed=%d", q.Name, seed), func(t *testing.T) { checkQuery(t, q, seed) })
	}
}

func checkQuery(t *testing.T, q queries.Query, seed uint64) {
	t.Parallel()
	r := rand.New(rand.NewPCG(seed, 1))
	src := nexmark.Source{
		Generator: nexmark.Generator{Seed: seed, EventRate: 500, OutOfOrder: int64(1 + 20*r.IntN(2))}, Count: int64(15_000 + r.IntN(15_000)),
	}
	want, err := answers.Of(q.Name, src.Generator, src.Count)
	if err != nil {
		t.Fatal(err)
	}
	c := enginetest.New(seed, 1+r.IntN(2))
	c.Options.BatchRows, c.AbortOneIn = 64, 5
	if seed%2 == 0 {
		c.Options.State.Backend, c.LocalDir = dataflow.BackendLSM, t.TempDir()
	}
	var writes, killAt atomic.Int64
	sink := enginetest.NewSink[queries.Digest]()
	sink.OnWrite = func() {
		if writes.Add(1) == killAt.Load() {
			c.Kill()
		}
	}
	kills := r.IntN(3)
	for attempt := 0; ; attempt++ {
		killAt.Store(0)
		if attempt < kills {
			killAt.Store(writes.Load() + 1 + int64(r.IntN(20)))
		}
		err := c.Run(t.Context(), program(t, q, src, 1+r.IntN(4), queries.Outputs{Digests: sink}))
		if err == nil {
			break
		}
		if !errors.Is(err, enginetest.ErrKilled) {
			t.Fatal(err)
		}
	}
	rows, sum := addUp(sink.Committed())
	if want.Rows >= 0 && rows != want.Rows || sum != want.Sum {
		t.Errorf("%d rows add up to %x, the plain loops make %d with %x", rows, sum, want.Rows, want.Sum)
	}
	if rows == 0 {
		t.Error("no rows at all")
	}
}

// addUp counts rows, and of those that replace each other the last one of each key.
func addUp(all []queries.Digest) (rows int64, sum uint64) {
	last := map[int64]queries.Digest{}
	for _, d := range all {
		if d.Version == 0 {
			rows++
			sum += d.Sum
		} else if d.Version > last[d.Key].Version {
			last[d.Key] = d
		}
	}
	for _, d := range last {
		rows++
		sum += d.Sum
	}
	return rows, sum
}

func TestFindNamesTheQueries(t *testing.T) {
	for _, name := range queries.Names() {
		if q, err := queries.Find(name); err != nil || q.Name != name || q.About == "" {
			t.Errorf("query %s is %+v, %v", name, q, err)
		}
	}
	if _, err := queries.Find("q99"); err == nil || !strings.Contains(err.Error(), `query "q99": use one of q0, q1`) {
		t.Errorf("query q99: %v", err)
	}
}

// TestWrongAnswersShow: rows that are lost, doubled or changed change the sum.
func TestWrongAnswersShow(t *testing.T) {
	row := queries.Q0Row{Auction: 1, Bidder: 2, Price: 3, DateTime: 4, Extra: "some text that is longer than a word"}
	others := []queries.Q0Row{row, row, row, row, row, row}
	others[0].Auction++
	others[1].Bidder--
	others[2].Price = 4
	others[3].DateTime = 0
	others[4].Extra = "some text that is longer than a Word"
	others[5].Extra += " "
	for i, o := range others {
		if o.Digest() == row.Digest() {
			t.Errorf("case %d: %+v has the digest of %+v", i, o, row)
		}
	}
}
