package matrix

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

var (
	oneSeed = flag.Uint64("seed", 0, "run this seed only")
	seeds   = flag.Uint64("seeds", usualSeeds, "how many seeds to run")
)

// usualSeeds is how many seeds make sure that every phase is struck in every mode.
const usualSeeds = 500

// TestMatrix: whatever fails and whenever, in every mode and on every kind of edge, the
// outputs are those of a run without failures.
func TestMatrix(t *testing.T) {
	base, runs := uint64(time.Now().UnixNano())%1_000_000+1, *seeds
	if testing.Short() {
		runs = min(runs, usualSeeds/20)
	}
	if *oneSeed != 0 {
		base, runs = *oneSeed, 1
	}
	cover := newCoverage()
	t.Run("seeds", func(t *testing.T) {
		for seed := base; seed < base+runs; seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				runSeed(t, seed, cover)
			})
		}
	})
	if runs >= usualSeeds && !t.Failed() {
		cover.check(t)
	}
}

// realTimeMax is far more than a seed takes. A run that works without end does not let
// virtual time go by, so that nothing in it can notice.
const realTimeMax = 2 * time.Minute

func runSeed(t *testing.T, seed uint64, cover *coverage) {
	w := newWorld(seed, cover)
	watch := time.AfterFunc(realTimeMax, func() {
		fmt.Fprintf(os.Stderr, "seed %d works without end\n%s", seed, w.describe())
		panic("a seed works without end")
	})
	defer watch.Stop()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		err := w.run(ctx)
		if err == nil {
			err = w.check()
		}
		if err != nil {
			t.Fatalf("%v\n%vagain: go test ./stream/matrix -run TestMatrix -seed %d", err, w.describe(), seed)
		}
	})
}
