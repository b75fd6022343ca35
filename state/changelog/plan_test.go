package changelog

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// at is a segment of changes at an offset of an object.
func at(key string, offset int64) snapshot.Segment {
	return snapshot.Segment{GroupHi: 7, Ref: objectstore.Ref{Key: key, Offset: offset, Length: 10}}
}

func imageAt(key string, offset int64) snapshot.Segment {
	s := at(key, offset)
	s.Base = true
	return s
}

func chainOf(segments ...snapshot.Segment) *chain {
	c := &chain{}
	for _, s := range segments {
		c.add(s)
	}
	return c
}

// describeReads names the reads and how many parts they have.
func describeReads(reads []*read) (out []string) {
	for _, r := range reads {
		out = append(out, fmt.Sprintf("%s %d-%d x%d", r.key, r.from, r.to, len(r.parts)))
	}
	return out
}

func TestPlanReadsAnObjectOnceForAllChains(t *testing.T) {
	// The second chain needs an image first, in an object that is younger than the
	// changes which follow it.
	reads := planReads([]*chain{
		chainOf(at("1", 8), at("2", 8), at("3", 8)),
		chainOf(imageAt("4", 8), imageAt("4", 18), at("2", 20), at("3", 18)),
		chainOf(at("1", 18), at("3", 28)),
	})
	equal(t, "reads", describeReads(reads), []string{"1 8-28 x2", "4 8-28 x2", "2 8-30 x2", "3 8-38 x3"})
}

func TestPlanDividesAReadWhoseOrdersContradict(t *testing.T) {
	reads := planReads([]*chain{
		chainOf(at("1", 8), at("2", 8)),
		chainOf(at("2", 18), at("1", 18)),
	})
	equal(t, "reads", describeReads(reads), []string{"1 8-18 x1", "2 8-28 x2", "1 18-28 x1"})
}

func TestPlanLeavesGapsThatAreTooLarge(t *testing.T) {
	reads := planReads([]*chain{chainOf(at("1", 8), at("1", 18+readGap), at("1", 29+2*readGap))})
	equal(t, "reads", describeReads(reads), []string{
		fmt.Sprintf("1 8-%d x2", 28+readGap), fmt.Sprintf("1 %d-%d x1", 29+2*readGap, 39+2*readGap),
	})
}

func TestPlanKeepsImagesOfFilesApart(t *testing.T) {
	file := func(name string, offset int64) snapshot.Segment {
		s := imageAt("1", offset)
		s.Kind, s.Name = snapshot.SegmentFile, name
		return s
	}
	c := chainOf(file("a/1.sst", 8), file("a/2.sst", 18), file("b/1.sst", 28), at("2", 8), file("c/1.sst", 38))
	equal(t, "stages", len(c.stages), 4)
	equal(t, "files of the first", len(c.stages[0].segments), 2)
	equal(t, "reads", describeReads(planReads([]*chain{c})), []string{" 0-0 x1", " 0-0 x1", "2 8-18 x1", " 0-0 x1"})
}

// TestPlansAreInOrder plans random chains and carries the plan out on paper.
func TestPlansAreInOrder(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		chains, segments := randomChains(rnd)
		loaded := make([]map[int]int, len(chains)) // by chain, stage: how many
		for i := range loaded {
			loaded[i] = map[int]int{}
		}
		total := 0
		for _, r := range planReads(chains) {
			for _, p := range r.parts {
				ref := p.segment.Ref
				if ref.Key != r.key || ref.Offset < r.from || ref.Offset+ref.Length > r.to || r.to-r.from > readBytes {
					t.Fatalf("seed %d: segment %+v in a read of %s %d to %d", seed, ref, r.key, r.from, r.to)
				}
				for s := range p.stage {
					if loaded[p.chain][s] != len(chains[p.chain].stages[s].segments) {
						t.Fatalf("seed %d: chain %d: stage %d is read before stage %d is complete", seed, p.chain, p.stage, s)
					}
				}
				loaded[p.chain][p.stage]++
				total++
			}
		}
		if total != segments {
			t.Fatalf("seed %d: %d segments read of %d", seed, total, segments)
		}
	}
}

// randomChains takes segments of some objects in any order, images among them.
func randomChains(rnd *rand.Rand) (chains []*chain, segments int) {
	next := map[string]int64{}
	for range 1 + rnd.IntN(5) {
		c := &chain{}
		for range 1 + rnd.IntN(12) {
			key := fmt.Sprint(rnd.IntN(6))
			s := at(key, next[key])
			s.Base = rnd.IntN(3) == 0
			next[key] += 10 + rnd.Int64N(2)*rnd.Int64N(2*readGap)
			c.add(s)
			segments++
		}
		chains = append(chains, c)
	}
	return chains, segments
}
