package generator_test

import (
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/connectortest"
	"github.com/cairnstream/cairn/connector/generator"
)

type event struct {
	N int64
	R uint64
}

func makeEvent(n int64, r *rand.Rand) event { return event{n, r.Uint64()} }

func TestReplays(t *testing.T) {
	for name, s := range map[string]*generator.Source[event]{
		"bounded":   {Make: makeEvent, Count: 1000, Width: 3, Seed: 1},
		"unbounded": {Make: makeEvent, Time: func(n int64) int64 { return 10 * n }},
		"paced":     {Make: makeEvent, Count: 500, Width: 2, Rate: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			connectortest.Source(t, connectortest.SourceConfig[event]{Source: s, Most: 2000})
		})
	}
}

// all reads every split to its end.
func all(t *testing.T, s *generator.Source[event]) []event {
	t.Helper()
	splits, err := s.Splits(t.Context(), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	var got connector.Records[event]
	for _, split := range splits {
		r, err := s.Open(t.Context(), connector.Env{}, split, nil)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = r.Next(t.Context(), 100, &got)
		}
		if err != io.EOF {
			t.Fatal(err)
		}
	}
	slices.SortFunc(got.Values, func(a, b event) int { return int(a.N - b.N) })
	return got.Values
}

func TestRecordsDoNotDependOnTheSplits(t *testing.T) {
	one := all(t, &generator.Source[event]{Make: makeEvent, Count: 101, Seed: 7})
	five := all(t, &generator.Source[event]{Make: makeEvent, Count: 101, Seed: 7, Width: 5})
	if len(one) != 101 || !slices.Equal(one, five) {
		t.Errorf("1 split makes %d records, 5 make %d, or others", len(one), len(five))
	}
	if other := all(t, &generator.Source[event]{Make: makeEvent, Count: 101, Seed: 8}); slices.Equal(one, other) {
		t.Error("another seed makes the same records")
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &generator.Source[event]{Make: makeEvent, Rate: 200, Width: 2}
		splits, err := s.Splits(t.Context(), connector.Env{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), connector.Env{}, splits[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		count := func(during time.Duration) int {
			var got connector.Records[event]
			for end := time.Now().Add(during); time.Now().Before(end); {
				wait, err := r.Next(t.Context(), 1000, &got)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(min(wait, time.Until(end)))
			}
			return len(got.Values)
		}
		if n := count(10 * time.Second); n != 1000 {
			t.Errorf("half of 200 a second gave %d records in 10s", n)
		}
		time.Sleep(time.Minute) // such as backpressure
		if n := count(time.Second); n < 100 || n > 111 {
			t.Errorf("after a pause, %d records came in a second", n)
		}
	})
}

func TestBadPosition(t *testing.T) {
	s := &generator.Source[event]{Make: makeEvent}
	splits, err := s.Splits(t.Context(), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), connector.Env{}, splits[0], []byte{0x80}); err == nil {
		t.Error("a position of half a number is accepted")
	}
	if _, err := (&generator.Source[event]{}).Splits(t.Context(), connector.Env{}); err == nil {
		t.Error("a generator without Make is accepted")
	}
}
