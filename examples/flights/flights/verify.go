package flights

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// Report is what Verify found.
type Report struct {
	Verified   bool  `json:"verified"`   // nothing is lost, duplicated or wrong
	Records    int64 `json:"records"`    // running rows in the output
	Hours      int64 `json:"hours"`      // hourly rows in the output
	Lost       int64 `json:"lost"`       // rows that should be there and are not
	Duplicated int64 `json:"duplicated"` // rows that are there again
	Wrong      int64 `json:"wrong"`      // rows with other values, in the wrong place, or of nothing in the input
	// Differences describes the first few.
	Differences []string `json:"differences,omitempty"`
}

// differencesMax is how many differences a Report describes: enough to see a
// pattern.
const differencesMax = 10

// Verify compares all committed output of a job in b with what a plain loop over
// the embedded extract computes: each row's values, that it is there once, and
// the order of rows within a key. An error means that it could not be read.
func Verify(ctx context.Context, b objectstore.Bucket, job dataflow.JobID) (Report, error) {
	rows, err := readExtract()
	if err != nil {
		return Report{}, err
	}
	return verify(ctx, b, job, rows)
}

func verify(ctx context.Context, b objectstore.Bucket, job dataflow.JobID, rows []Row) (Report, error) {
	v := &verifier{want: compute(rows), seen: make([]bool, len(rows)), seenHours: map[hourKey]bool{}}
	if err := v.read(ctx, b, job, RunningOutUID, v.running); err != nil {
		return Report{}, err
	}
	if err := v.read(ctx, b, job, HourlyOutUID, v.hour); err != nil {
		return Report{}, err
	}
	v.missing()
	v.report.Verified = v.report.Lost+v.report.Duplicated+v.report.Wrong == 0
	return v.report, nil
}

// verifier goes through the output once.
type verifier struct {
	want      *answer
	report    Report
	seen      []bool // running rows, by number
	seenHours map[hourKey]bool
	subtask   int
	last      map[string]place // of each origin, in this subtask's output
}

// read calls line for each line of a sink's output.
func (v *verifier) read(ctx context.Context, b objectstore.Bucket, job dataflow.JobID, uid dataflow.UID, line func(where string, line []byte)) error {
	v.subtask = -1
	return filesink.ReadCommitted(ctx, b, job, uid, func(p filesink.Part, r io.Reader) error {
		if p.Subtask != v.subtask {
			v.subtask, v.last = p.Subtask, map[string]place{}
		}
		br := bufio.NewReaderSize(r, 64<<10)
		for {
			text, err := br.ReadSlice('\n')
			if len(text) > 0 {
				line(p.Key, text)
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
}

// running checks a line of running-out.
func (v *verifier) running(where string, line []byte) {
	v.report.Records++
	var got Running
	if err := parseRunning(line, &got); err != nil {
		v.differ(&v.report.Wrong, "%s: %q: %v", where, line, err)
		return
	}
	if got.Number < 0 || got.Number >= int64(len(v.seen)) {
		v.differ(&v.report.Wrong, "%s: row %d is not in the input", where, got.Number)
		return
	}
	if v.seen[got.Number] {
		v.differ(&v.report.Duplicated, "%s: row %d again: %+v", where, got.Number, got)
		return
	}
	v.seen[got.Number] = true
	if want := v.want.running[got.Number]; got != want {
		v.differ(&v.report.Wrong, "%s: row %d is %+v, want %+v", where, got.Number, got, want)
		return
	}
	at := place{got.Date, got.Number}
	if last, ok := v.last[got.Origin]; ok && !last.before(at) {
		v.differ(&v.report.Wrong, "%s: row %d of %s comes after row %d", where, got.Number, got.Origin, last.Number)
		return
	}
	v.last[got.Origin] = at
}

func (p place) before(q place) bool {
	return p.Date < q.Date || p.Date == q.Date && p.Number < q.Number
}

// hour checks a line of hourly-out.
func (v *verifier) hour(where string, line []byte) {
	v.report.Hours++
	var got Hour
	if err := json.Unmarshal(line, &got); err != nil {
		v.differ(&v.report.Wrong, "%s: %q: %v", where, line, err)
		return
	}
	key := hourKey{got.Origin, got.Hour}
	want, ok := v.want.hours[key]
	switch {
	case !ok:
		v.differ(&v.report.Wrong, "%s: %+v is an hour without flights", where, got)
	case v.seenHours[key]:
		v.differ(&v.report.Duplicated, "%s: again: %+v", where, got)
	case got != want:
		v.differ(&v.report.Wrong, "%s: %+v, want %+v", where, got, want)
	case v.last[got.Origin].Date > got.Hour:
		v.differ(&v.report.Wrong, "%s: %+v comes after a later hour", where, got)
	}
	if ok {
		v.seenHours[key] = true
		v.last[got.Origin] = place{Date: got.Hour}
	}
}

// missing counts what did not come at all.
func (v *verifier) missing() {
	for number, seen := range v.seen {
		if !seen {
			v.differ(&v.report.Lost, "row %d is lost: %+v", number, v.want.running[number])
		}
	}
	for key, want := range v.want.hours {
		if !v.seenHours[key] {
			v.differ(&v.report.Lost, "an hour is lost: %+v", want)
		}
	}
}

func (v *verifier) differ(count *int64, format string, args ...any) {
	*count++
	if len(v.report.Differences) < differencesMax {
		v.report.Differences = append(v.report.Differences, fmt.Sprintf(format, args...))
	}
}
