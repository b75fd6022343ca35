package flights

import (
	"bytes"
	"io"
	"io/fs"
	"math"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/files"
	"github.com/cairnstream/cairn/dataflow"
)

// subtaskOf is the subtask of four that has an origin.
func subtaskOf(t *testing.T) func(origin string) int {
	keys, err := codec.For[string]()
	if err != nil {
		t.Fatal(err)
	}
	return func(origin string) int {
		group := dataflow.KeyGroup(dataflow.KeyHash(keys.Append(nil, &origin)), dataflow.DefaultKeyGroups)
		return dataflow.SubtaskOf(group, dataflow.DefaultKeyGroups, 4)
	}
}

// silences are the longest pauses of a sink's subtasks.
type silences struct {
	last, longest [4]time.Duration
}

func (s *silences) record(subtask int, now time.Duration) {
	s.longest[subtask] = max(s.longest[subtask], now-s.last[subtask])
	s.last[subtask] = now
}

// TestNoSinkIsSilentForLong runs the replay of the demonstration in virtual
// time, with the watermark that the job would have, and looks at how long each
// sink subtask gets nothing only because the data has nothing. A gap through
// a failure can be told from that only if it is short.
func TestNoSinkIsSilentForLong(t *testing.T) {
	const most = 250 * time.Millisecond
	running, hourly := replay(t)
	t.Logf("longest silences: running-out %v, hourly-out %v", running.longest, hourly.longest)
	for i := range 4 {
		if running.longest[i] > most || hourly.longest[i] > most {
			t.Errorf("subtask %d is silent for %v and %v, more than %v", i, running.longest[i], hourly.longest[i], most)
		}
	}
}

func replay(t *testing.T) (running, hourly silences) {
	rows := extract(t, 0)
	src := source(Defaults())
	src.FS = uncompressed(t, rows)
	want := compute(rows)
	synctest.Test(t, func(t *testing.T) {
		r := &replayed{src: src, want: want, subtask: subtaskOf(t), hours: map[hourKey]bool{}}
		r.run(t)
		running, hourly = r.running, r.hourly
	})
	return running, hourly
}

// uncompressed is the extract without Zstandard: decoders are shared by the whole
// process, and one that was made in virtual time can not be used outside of it.
func uncompressed(t *testing.T, rows []Row) fs.FS {
	var b bytes.Buffer
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{DataFile: {Data: b.Bytes()}}
}

// replayed is the job's output, as far as its times go.
type replayed struct {
	src             *files.Source[Row]
	want            *answer
	subtask         func(string) int
	next            int // the first row that waits for the watermark
	hours           map[hourKey]bool
	running, hourly silences
}

func (r *replayed) run(t *testing.T) {
	all, err := r.src.Splits(t.Context(), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	var readers []connector.Reader[Row]
	for _, split := range all {
		reader, err := r.src.Open(t.Context(), connector.Env{}, split, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		readers = append(readers, reader)
	}
	start := time.Now()
	for wm := int64(0); wm < math.MaxInt64; {
		wm = math.MaxInt64
		for _, reader := range readers {
			_, err := reader.Next(t.Context(), 1024, &connector.Records[Row]{})
			if err == nil {
				wm = min(wm, reader.(connector.Watermarker).Watermark())
			} else if err != io.EOF {
				t.Fatal(err)
			}
		}
		r.advance(wm, time.Since(start))
		time.Sleep(time.Millisecond)
	}
	if d := time.Since(start); d < 24*time.Second || d > 26*time.Second {
		t.Errorf("the replay takes %v", d)
	}
}

// advance lets everything out that the watermark allows.
func (r *replayed) advance(wm int64, now time.Duration) {
	for r.next < len(r.want.running) && r.want.running[r.next].Date <= wm {
		row := r.want.running[r.next]
		r.running.record(r.subtask(row.Origin), now)
		hour := time.Hour.Milliseconds()
		r.hours[hourKey{row.Origin, row.Date - row.Date%hour}] = true
		r.next++
	}
	for key := range r.hours {
		if key.hour+time.Hour.Milliseconds()-1 <= wm {
			r.hourly.record(r.subtask(key.origin), now)
			delete(r.hours, key)
		}
	}
}
