package stream_test

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// TestTransactionsOfAnOriginAreItsOwnJobsUnlessClaimed: a job that starts from another
// job's checkpoint neither commits nor aborts what that one has prepared, unless it has
// claimed it. Either way the output of both together is that of one.
func TestTransactionsOfAnOriginAreItsOwnJobsUnlessClaimed(t *testing.T) {
	eachSeed(t, 5, func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 5))
		claim := r.IntN(2) == 0
		sink := enginetest.NewSink[int]()
		parent := killedParent(t, seed, r, sink)
		origin := *parent.Restore()
		staged := sink.StagedOf("job")
		if staged == 0 {
			t.Fatal("the parent left no transaction: the test shows nothing")
		}

		child := enginetest.New(seed+1, 1+r.IntN(3))
		child.Bucket, child.Job = parent.Bucket, "child"
		mine := origin
		mine.Origin, mine.OwnTransactions = true, claim
		child.RestoreFrom(&mine)
		prog := passing(t, 1+r.IntN(4), sink)
		if err := child.Run(t.Context(), prog); err != nil {
			t.Fatal(err)
		}
		if now := sink.StagedOf("job"); !claim && now != staged {
			t.Fatalf("the child touched its parent's transactions: %d were there, %d are", staged, now)
		}
		if !claim {
			err := engine.FinishCommits(t.Context(), prog, "job", origin.Attempt+1, nil, parent.Restore(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
		}
		got := sink.Committed()
		slices.Sort(got)
		for i, n := range got {
			if n != i || len(got) != numbersMax {
				t.Fatalf("%d numbers, number %d is %d (claim %t)", len(got), i, n, claim)
			}
		}
	})
}

const numbersMax = 1000

// passing is a program that passes all numbers to the sink.
func passing(t *testing.T, parallelism int, sink *enginetest.Sink[int]) *engine.Program {
	src := &enginetest.Source[int]{Chunk: 8, Slices: make([][]int, 4)}
	for i := range numbersMax {
		src.Slices[i%4] = append(src.Slices[i%4], i)
	}
	return program(t, func(p *stream.Pipeline) {
		p.Parallelism(parallelism)
		in := stream.From(p, "in", src, stream.UID("in"))
		stream.To(in, "out", sink, stream.UID("out"))
	})
}

// killedParent kills a job when its sink is about to commit the first checkpoint.
func killedParent(t *testing.T, seed uint64, r *rand.Rand, sink *enginetest.Sink[int]) *enginetest.Cluster {
	t.Helper()
	c := enginetest.New(seed, 1+r.IntN(3))
	sink.OnCommit = func() error {
		c.Kill()
		return enginetest.ErrKilled
	}
	if err := c.Run(t.Context(), passing(t, 1+r.IntN(4), sink)); !errors.Is(err, enginetest.ErrKilled) {
		t.Fatalf("the parent ended before it was killed: %v", err)
	}
	sink.OnCommit = nil
	return c
}
