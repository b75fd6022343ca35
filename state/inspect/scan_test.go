package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/inspect"
	"github.com/cairnstream/cairn/state/inspect/inspecttest"
)

func TestGetReadsOnlyItsKeyGroup(t *testing.T) {
	b := objectstore.Count(mem.New())
	c := start(t, b)
	for i := range 2000 {
		c.fill(fmt.Sprintf("carrier %d", i))
	}
	c.fill("AA")
	o := inspect.Operators([]snapshot.Process{c.p.Checkpoint(1)})[0]
	r := inspect.Reader{Bucket: b}
	bytesOf := func(work func()) int64 {
		before := b.Counts().GetBytes
		work()
		return b.Counts().GetBytes - before
	}
	all := bytesOf(func() { scan(t, &r, o) })
	get := func(carrier string) (lines []string) {
		p := printer(t, o)
		key, err := p.EncodeKey(carrier)
		if err != nil {
			t.Fatal(err)
		}
		err = r.Get(t.Context(), o, key, groups, func(e inspect.Entry) error {
			printed, err := p.Print(e)
			lines = append(lines, line(printed))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	for _, carrier := range []string{"AA", "carrier 77"} {
		read := bytesOf(func() {
			if got := get(carrier); !slices.Equal(got, filled(carrier)) {
				t.Errorf("%s:\n%s", carrier, strings.Join(got, "\n"))
			}
		})
		if read > all*2/3 { // the other subtask's half is of no use
			t.Errorf("%s: read %d bytes of %d", carrier, read, all)
		}
	}
	if got := get("nobody"); len(got) > 0 {
		t.Errorf("nobody has %q", got)
	}
}

func TestErrorOfTheCallerEndsAScan(t *testing.T) {
	b := mem.New()
	c := start(t, b)
	c.fill("AA")
	o := inspect.Operators([]snapshot.Process{c.p.Checkpoint(1)})[0]
	enough := errors.New("enough")
	calls := 0
	f := func(inspect.Entry) error { calls++; return enough }
	r := inspect.Reader{Bucket: b}
	if err := r.Scan(t.Context(), o, f); !errors.Is(err, enough) || calls != 1 {
		t.Errorf("scan: %v after %d calls", err, calls)
	}
	name := "AA"
	if err := r.Get(t.Context(), o, c.keys.Append(nil, &name), groups, f); !errors.Is(err, enough) || calls != 2 {
		t.Errorf("get: %v after %d calls", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Scan(ctx, o, f); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// BenchmarkScan reads and prints a state of 200,000 values from a changelog.
func BenchmarkScan(b *testing.B) {
	const entries = 200_000
	bucket := mem.New()
	keys, err := codec.Key[int64]()
	if err != nil {
		b.Fatal(err)
	}
	p := inspecttest.Start(b, inspecttest.Config{Bucket: bucket, Prefix: "c/jobs/j/1/p/", UID: "count", KeySchema: keys.Schema(), KeyGroups: 128, Parallelism: 1})
	v, err := state.NewValue[delay](p.Stores()[0], "delay")
	if err != nil {
		b.Fatal(err)
	}
	for key := range int64(entries) {
		p.SetKey(keys.Append(nil, &key))
		if err := v.Set(delay{Flights: key, Worst: "AA-1"}); err != nil {
			b.Fatal(err)
		}
	}
	o := inspect.Operators([]snapshot.Process{p.Checkpoint(1)})[0]
	printer, err := inspect.NewPrinter(o)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		seen := 0
		r := inspect.Reader{Bucket: bucket, TempDir: b.TempDir()}
		err := r.Scan(b.Context(), o, func(e inspect.Entry) error {
			seen++
			_, err := printer.Print(e)
			return err
		})
		if err != nil || seen != entries {
			b.Fatalf("%d entries, %v", seen, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
}
