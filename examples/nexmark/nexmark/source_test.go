package nexmark

import (
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/connectortest"
)

func TestSourceReplays(t *testing.T) {
	for name, s := range map[string]Source{
		"bounded":      {Count: 3000, Width: 3, Generator: Generator{Seed: 1}},
		"out of order": {Count: 3000, Generator: Generator{Seed: 1, OutOfOrder: 7}},
		"unbounded":    {},
	} {
		t.Run(name, func(t *testing.T) {
			connectortest.Source(t, connectortest.SourceConfig[Event]{Source: s, Most: 2000})
		})
	}
}

// events reads every split to its end.
func events(t *testing.T, s Source) []string {
	t.Helper()
	splits, err := s.Splits(t.Context(), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, split := range splits {
		r, err := s.Open(t.Context(), connector.Env{}, split, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got connector.Records[Event]
		for err == nil {
			_, err = r.Next(t.Context(), 100, &got)
		}
		if err != io.EOF {
			t.Fatal(err)
		}
		for i := range got.Values {
			out = append(out, got.Values[i].String())
		}
	}
	slices.Sort(out)
	return out
}

func TestEventsDoNotDependOnTheSplits(t *testing.T) {
	one, many := events(t, Source{Count: 2001, Width: 1}), events(t, Source{Count: 2001, Width: 5})
	if len(one) != 2001 || !slices.Equal(one, many) {
		t.Errorf("1 split makes %d events, 5 make %d, or others", len(one), len(many))
	}
}

// TestPacedSourceCatchesUp: what was due during a pause comes after it.
func TestPacedSourceCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Source{Rate: 1000, Width: 2}
		splits, err := s.Splits(t.Context(), connector.Env{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), connector.Env{}, splits[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		var got connector.Records[Event]
		read := func(during time.Duration) int {
			got.Values, got.Times = nil, nil
			for end := time.Now().Add(during); ; {
				wait, err := r.Next(t.Context(), 10, &got)
				if err != nil {
					t.Fatal(err)
				}
				if time.Now().Add(wait).After(end) {
					return len(got.Values)
				}
				time.Sleep(wait) // virtual
			}
		}
		const turn = 2 * Block * time.Millisecond // both splits have had a block
		if n := read(turn); n < Block-1 || n > Block+1 {
			t.Errorf("%d events of half of 1000/s in %v", n, turn)
		}
		time.Sleep(3 * turn) // virtual: held up
		if n := read(0); n < 3*Block-1 || n > 3*Block+1 {
			t.Errorf("%d events after %v of standing still", n, 3*turn)
		}
	})
}

// TestOneReaderHasEventsInOrder: the splits' blocks follow each other, and a split knows in
// its pauses how far event time has come.
func TestOneReaderHasEventsInOrder(t *testing.T) {
	s := Source{Count: 5*Block + 7, Width: 2, Generator: Generator{EventRate: 1000}}
	splits, err := s.Splits(t.Context(), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	var readers []connector.Reader[Event]
	for _, split := range splits {
		r, err := s.Open(t.Context(), connector.Env{}, split, nil)
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	var got connector.Records[Event]
	for i := range 6 {
		r := readers[i%2]
		if _, err := r.Next(t.Context(), Block, &got); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if want := BaseTime + int64(i+2)*Block - 1; i < 5 && r.(connector.Watermarker).Watermark() != want {
			t.Errorf("after block %d the watermark is %d, want %d", i, r.(connector.Watermarker).Watermark(), want)
		}
	}
	if int64(len(got.Values)) != s.Count || !slices.IsSorted(got.Times) {
		t.Errorf("%d events, in order %v, want %d", len(got.Values), slices.IsSorted(got.Times), s.Count)
	}
}

// TestSourceWaitsForItsStart: also one that is not paced.
func TestSourceWaitsForItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Source{Count: 10, Start: time.Now().Add(time.Second).UnixNano()}
		r, err := s.Open(t.Context(), connector.Env{}, connector.Split{ID: "0", Data: []byte{0}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got connector.Records[Event]
		if wait, err := r.Next(t.Context(), 100, &got); err != nil || wait != time.Second || len(got.Values) > 0 {
			t.Fatalf("%d events, wait %v, %v", len(got.Values), wait, err)
		}
		time.Sleep(time.Second) // virtual
		if _, err := r.Next(t.Context(), 100, &got); err != io.EOF || len(got.Values) != 10 {
			t.Errorf("%d events, %v", len(got.Values), err)
		}
	})
}
