package connectortest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// SourceConfig is what the suite needs to know of a source.
type SourceConfig[T any] struct {
	Source connector.Source[T]
	Env    connector.Env // see Env; the zero value will do for a source without a bucket
	// Most bounds what is read of each split, for sources without an end.
	// Default 100,000.
	Most int
	// Runs is the number of runs with random stops. Default 10.
	Runs int
}

// Source checks that a source gives the same records however often its readers
// stop and go on at their positions, lists its splits the same way every time,
// keeps to the maximum of Next, and never lets a watermark overtake a record.
// Waiting takes no time: it runs in a bubble of testing/synctest. So the source
// must not use what the process shares and synctest watches, such as the pooled
// decoders of Parquet files with Zstandard.
func Source[T any](t *testing.T, c SourceConfig[T]) {
	t.Helper()
	if c.Most == 0 {
		c.Most = 100_000
	}
	if c.Runs == 0 {
		c.Runs = 10
	}
	splits := listSplits(t, c)
	for _, split := range splits {
		t.Run("split "+split.ID, func(t *testing.T) { checkSplit(t, c, split) })
	}
}

func listSplits[T any](t *testing.T, c SourceConfig[T]) []connector.Split {
	t.Helper()
	splits, err := c.Source.Splits(t.Context(), c.Env)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Source.Splits(t.Context(), c.Env)
	if err != nil || !reflect.DeepEqual(splits, again) {
		t.Fatalf("Splits gave %v, then %v (%v)", splits, again, err)
	}
	seen := map[string]bool{}
	for _, s := range splits {
		if seen[s.ID] {
			t.Fatalf("two splits have the id %q", s.ID)
		}
		seen[s.ID] = true
	}
	return splits
}

func checkSplit[T any](t *testing.T, c SourceConfig[T], split connector.Split) {
	var want *reading[T]
	synctest.Test(t, func(t *testing.T) {
		want = &reading[T]{config: c, split: split}
		if err := want.run(t.Context(), func() int { return c.Most }, nil); err != nil {
			t.Fatal(err)
		}
	})
	for seed := range uint64(c.Runs) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			got := &reading[T]{config: c, split: split}
			most := []int{1, 7, 1024}[r.IntN(3)]
			stop := r.Float64() * r.Float64() // often few stops, and sometimes one after each batch
			err := got.run(t.Context(), func() int { return 1 + r.IntN(most) }, func() bool { return r.Float64() < stop })
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if at, ok := got.sameAs(want); !ok {
				t.Fatalf("seed %d: with %d stops, reading differs from reading at a stretch, from record %d on: got %d records and %d bad ones, want %d and %d",
					seed, got.stops, at, len(got.all.Values), len(got.bad), len(want.all.Values), len(want.bad))
			}
		})
	}
}

// reading is one passage over a split.
type reading[T any] struct {
	config SourceConfig[T]
	split  connector.Split

	all   connector.Records[T]
	bad   []connector.BadRecord
	stops int
	wm    int64
}

func (r *reading[T]) sameAs(want *reading[T]) (at int, ok bool) {
	for at < min(len(r.all.Values), len(want.all.Values)) {
		if !reflect.DeepEqual(r.all.Values[at], want.all.Values[at]) || r.all.Times[at] != want.all.Times[at] {
			return at, false
		}
		at++
	}
	return at, len(r.all.Values) == len(want.all.Values) && reflect.DeepEqual(r.bad, want.bad)
}

// run reads the split, in batches of the sizes that size gives, and closes and
// opens it again where stop says so.
func (r *reading[T]) run(ctx context.Context, size func() int, stop func() bool) error {
	var position []byte
	for {
		r.wm = connector.NoTime // of this reader: another one may begin behind it
		reader, err := r.config.Source.Open(ctx, r.config.Env, r.split, position)
		if err != nil {
			return fmt.Errorf("open at %x: %w", position, err)
		}
		done, err := r.read(ctx, reader, size, stop)
		position = bytes.Clone(reader.Position())
		if again := reader.Position(); !bytes.Equal(position, again) {
			return fmt.Errorf("position is %x and then %x", position, again)
		}
		if closed := reader.Close(); err == nil {
			err = closed
		}
		if done || err != nil {
			return err
		}
		r.stops++
	}
}

// read reads until the end (done) or until stop.
func (r *reading[T]) read(ctx context.Context, reader connector.Reader[T], size func() int, stop func() bool) (done bool, err error) {
	for {
		before, n := len(r.all.Values), size()
		wait, err := reader.Next(ctx, n, &r.all)
		if b, ok := reader.(connector.BadRecords); ok {
			r.bad = append(r.bad, b.TakeBad()...)
		}
		if bad := r.check(reader, before, n); bad != nil {
			return true, bad
		}
		if len(r.all.Values) >= r.config.Most {
			r.all.Values, r.all.Times = r.all.Values[:r.config.Most], r.all.Times[:r.config.Most]
			return true, nil
		}
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return true, fmt.Errorf("after %d records: %w", len(r.all.Values), err)
		}
		if stop != nil && stop() {
			return false, nil
		}
		time.Sleep(wait) // in virtual time
	}
}

// check looks at what the last Next appended, from before on.
func (r *reading[T]) check(reader connector.Reader[T], before, most int) error {
	if len(r.all.Values) != len(r.all.Times) {
		return fmt.Errorf("%d values have %d times", len(r.all.Values), len(r.all.Times))
	}
	if n := len(r.all.Values) - before; n > most {
		return fmt.Errorf("a call of Next gave %d records where %d were the most", n, most)
	}
	for i, at := range r.all.Times[before:] {
		if at <= r.wm && at != connector.NoTime {
			return fmt.Errorf("record %d at %d comes after watermark %d", before+i, at, r.wm)
		}
	}
	if w, ok := reader.(connector.Watermarker); ok {
		if w.Watermark() < r.wm {
			return fmt.Errorf("watermark goes back from %d to %d", r.wm, w.Watermark())
		}
		r.wm = w.Watermark()
	}
	return nil
}
