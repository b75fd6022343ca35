package files_test

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/files"
)

// arrival is when a row came.
type arrival struct {
	at  int64
	due time.Duration
	wm  int64 // behind it
}

// watch reads a split from a position and notes when each row comes, until a
// row of event time end.
func watch(t *testing.T, s *files.Source[row], split connector.Split, position []byte, end int64) ([]arrival, []byte) {
	t.Helper()
	start := time.Now()
	r, err := s.Open(t.Context(), connector.Env{}, split, position)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []arrival
	for {
		var got connector.Records[row]
		wait, err := r.Next(t.Context(), 1, &got)
		for _, at := range got.Times {
			out = append(out, arrival{at, time.Since(start), r.(connector.Watermarker).Watermark()})
		}
		if err == io.EOF || len(out) > 0 && out[len(out)-1].at >= end {
			return out, bytes.Clone(r.Position())
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(wait)
	}
}

// source is rows with given event times.
func source(t *testing.T, times []int64, replay files.Replay, stride int) (*files.Source[row], []connector.Split) {
	t.Helper()
	var rows []row
	for _, at := range times {
		rows = append(rows, row{At: at})
	}
	s := numbered(files.JSONLines[row]("x"))
	s.FS = fstest.MapFS{"x": {Data: content(t, "jsonl", rows)}}
	s.Replay, s.Stride = &replay, stride
	splits, err := s.Splits(t.Context(), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return s, splits
}

const forever = 1 << 62

func dues(arrivals []arrival) (out []time.Duration) {
	for _, a := range arrivals {
		out = append(out, a.due)
	}
	return out
}

func TestReplaySpeedAndSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times := []int64{0, 100, 100, 200, 5200, 5300}
		s, splits := source(t, times, files.Replay{Speed: 10, MaxSilence: 50 * time.Millisecond}, 1)
		got, _ := watch(t, s, splits[0], nil, forever)
		want := []time.Duration{0, 10, 10, 20, 70, 80}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if !slices.Equal(dues(got), want) {
			t.Errorf("rows come at %v, want %v", dues(got), want)
		}
	})
}

func TestReplayDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []int64
		for i := range int64(1000) {
			times = append(times, i*1000+i/500*1_000_000) // with a silence in the middle
		}
		s, splits := source(t, times, files.Replay{Duration: 5 * time.Second}, 1)
		got, _ := watch(t, s, splits[0], nil, forever)
		if d := got[len(got)-1].due; d < 4990*time.Millisecond || d > 5010*time.Millisecond {
			t.Errorf("the replay took %v", d)
		}
		if gap := got[500].due - got[499].due; gap < 15*time.Millisecond || gap > 25*time.Millisecond {
			t.Errorf("the silence took %v", gap)
		}
	})
}

func TestReplaySplitsKeepStepAndGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []int64
		for i := range int64(100) {
			times = append(times, i*1000)
		}
		s, splits := source(t, times, files.Replay{Speed: 100, MaxSilence: -1}, 2) // a row each 10 ms
		got, position := watch(t, s, splits[1], nil, 49_000)
		if first, last := got[0].due, got[len(got)-1].due; first != 0 || last != 480*time.Millisecond {
			t.Errorf("rows 1 and 49 come at %v and %v", first, last)
		}
		time.Sleep(time.Hour) // the job is down
		rest, _ := watch(t, s, splits[1], position, forever)
		if rest[0].at != 51_000 || rest[0].due != 0 || rest[len(rest)-1].due != 480*time.Millisecond {
			t.Errorf("after the stop: first row %+v, last %+v", rest[0], rest[len(rest)-1])
		}
	})
}

func TestReplayWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Split 1 has rows 1 and 3 only; row 2 moves its event time too.
		s, splits := source(t, []int64{0, 1000, 2000, 3000}, files.Replay{Speed: 1, MaxSilence: -1}, 2)
		r, err := s.Open(t.Context(), connector.Env{}, splits[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var got connector.Records[row]
		wms := map[time.Duration]int64{}
		for start := time.Now(); err == nil; {
			var wait time.Duration
			wait, err = r.Next(t.Context(), 10, &got)
			wms[time.Since(start)] = r.(connector.Watermarker).Watermark()
			time.Sleep(min(wait, 500*time.Millisecond))
		}
		// The schedule begins with this split's first row, at event time 1000.
		want := map[time.Duration]int64{0: 1000, 500 * time.Millisecond: 1000, 1000 * time.Millisecond: 2000, 1500 * time.Millisecond: 2000, 2000 * time.Millisecond: 2999}
		for at, wm := range want {
			if wms[at] != wm {
				t.Errorf("after %v the watermark is %d, want %d (all: %v)", at, wms[at], wm, wms)
			}
		}
	})
}

func TestReplayOfDisorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, splits := source(t, []int64{0, 3000, 1000, 4000, 5000}, files.Replay{Speed: 1, MaxSilence: -1}, 1)
		got, _ := watch(t, s, splits[0], nil, forever)
		if got[2].due != 3*time.Second || got[3].due != 4*time.Second {
			t.Errorf("a late row comes at %v, the next at %v", got[2].due, got[3].due)
		}
		for i, a := range got[1:] {
			if a.at <= got[i].wm {
				t.Errorf("row at %d comes after watermark %d", a.at, got[i].wm)
			}
		}
	})
}

func TestReplayNeedsTime(t *testing.T) {
	s, splits := source(t, []int64{0}, files.Replay{}, 1)
	s.Time = nil
	if _, err := s.Open(t.Context(), connector.Env{}, splits[0], nil); err == nil {
		t.Error("a replay without Time opens")
	}
}
