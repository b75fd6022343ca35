package flights

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/connectortest"
	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
)

const job = dataflow.JobID("flights-abc123")

// extract returns the first n rows, or all of them.
func extract(t testing.TB, n int) []Row {
	t.Helper()
	rows, err := readExtract()
	if err != nil {
		t.Fatal(err)
	}
	if n > 0 {
		rows = rows[:n]
	}
	return rows
}

// output writes the right answer as the job does: spread over four subtasks by
// origin, and over several checkpoints.
func output(t testing.TB, rows []Row) objectstore.Bucket {
	t.Helper()
	b := mem.New()
	a := compute(rows)
	writeOutput(t, b, RunningOutUID, filesink.JSONLines[Running]("mem://out"), a.running, func(r Running) string { return r.Origin })
	var hours []Hour
	for _, h := range a.hours {
		hours = append(hours, h)
	}
	slices.SortFunc(hours, func(a, b Hour) int { return cmp.Or(cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Origin, b.Origin)) })
	writeOutput(t, b, HourlyOutUID, filesink.JSONLines[Hour]("mem://out"), hours, func(h Hour) string { return h.Origin })
	return b
}

func writeOutput[T any](t testing.TB, b objectstore.Bucket, uid dataflow.UID, sink *filesink.Sink[T], records []T, origin func(T) string) {
	t.Helper()
	const subtasks, checkpoints = 4, 3
	env := connectortest.Env(b)
	env.Job, env.UID = job, uid
	for i := range subtasks {
		env.Subtask = i
		w, err := sink.Open(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		for c := range checkpoints {
			var mine []T
			for _, r := range records[c*len(records)/checkpoints : (c+1)*len(records)/checkpoints] {
				if int(origin(r)[1])%subtasks == i {
					mine = append(mine, r)
				}
			}
			commit(t, w, sink, env, mine, dataflow.CheckpointID(c+1))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func commit[T any](t testing.TB, w connector.Writer[T], sink *filesink.Sink[T], env connector.Env, records []T, id dataflow.CheckpointID) {
	t.Helper()
	if err := w.Write(records, make([]int64, len(records))); err != nil {
		t.Fatal(err)
	}
	finish, err := w.Prepare(id)
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var txns []snapshot.Transaction
	for _, p := range payloads {
		txns = append(txns, snapshot.Transaction{Checkpoint: id, Attempt: 1, Payload: p})
	}
	if err := sink.Commit(t.Context(), env, txns); err != nil {
		t.Fatal(err)
	}
}

func TestExtract(t *testing.T) {
	rows := extract(t, 0)
	if len(rows) != Rows {
		t.Errorf("%d rows, and Rows says %d", len(rows), Rows)
	}
	first := Row{Date: time.Date(2001, 1, 1, 0, 1, 0, 0, time.UTC).UnixMicro(), Delay: 33, Distance: 2176, Origin: "LAS", Destination: "PHL"}
	if rows[0] != first {
		t.Errorf("first row %+v", rows[0])
	}
	if end := time.UnixMicro(rows[len(rows)-1].Date).UTC(); end.Month() != time.January {
		t.Errorf("last row is of %v", end)
	}
}

func TestRightOutputVerifies(t *testing.T) {
	rows := extract(t, 0)
	r, err := Verify(t.Context(), output(t, rows), job)
	if err != nil || !r.Verified || r.Records != int64(len(rows)) || r.Hours == 0 || len(r.Differences) > 0 {
		t.Errorf("report %+v, %v", r, err)
	}
}

// tamper changes the lines of one committed part.
func tamper(t *testing.T, b objectstore.Bucket, uid dataflow.UID, change func(lines [][]byte) [][]byte) {
	t.Helper()
	parts, err := filesink.Parts(t.Context(), b, job, uid)
	if err != nil {
		t.Fatal(err)
	}
	key := parts[len(parts)/2].Key
	data, err := b.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	lines := change(bytes.SplitAfter(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")))
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), key, bytes.Join(lines, nil), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func remove(lines [][]byte) [][]byte { return slices.Delete(lines, 5, 6) }
func double(lines [][]byte) [][]byte { return slices.Insert(lines, 9, lines[5]) }
func none(lines [][]byte) [][]byte   { return nil }
func garble(lines [][]byte) [][]byte {
	lines[5] = []byte("{\n")
	return lines
}

// alter changes one number of one line, by name.
func alter(name string) func(lines [][]byte) [][]byte {
	return func(lines [][]byte) [][]byte {
		var r map[string]any
		d := json.NewDecoder(bytes.NewReader(lines[5]))
		d.UseNumber()
		if err := d.Decode(&r); err != nil {
			panic(err)
		}
		switch v := r[name].(type) {
		case json.Number:
			r[name] = json.Number("99" + strings.TrimPrefix(v.String(), "-"))
		case string:
			r[name] = "X" + v
		}
		line, err := json.Marshal(r)
		if err != nil {
			panic(err)
		}
		lines[5] = append(line, '\n')
		return lines
	}
}

// swap exchanges the first two lines of one origin.
func swap(lines [][]byte) [][]byte {
	origin := func(line []byte) string {
		var r Running
		if err := json.Unmarshal(line, &r); err != nil {
			panic(err)
		}
		return r.Origin
	}
	for i := range lines {
		for k := i + 1; k < len(lines)-1; k++ { // the last line has no break
			if origin(lines[i]) == origin(lines[k]) {
				lines[i], lines[k] = lines[k], lines[i]
				return lines
			}
		}
	}
	panic("no two lines of one origin")
}

func TestWrongOutputIsCaught(t *testing.T) {
	rows := extract(t, 5000)
	for _, c := range []struct {
		what                    string
		uid                     dataflow.UID
		change                  func([][]byte) [][]byte
		lost, duplicated, wrong int64
	}{
		{"remove", RunningOutUID, remove, 1, 0, 0},
		{"double", RunningOutUID, double, 0, 1, 0},
		{"swap", RunningOutUID, swap, 0, 0, 1},
		{"garble", RunningOutUID, garble, 1, 0, 1},
		{"alter flights", RunningOutUID, alter("flights"), 0, 0, 1},
		{"alter total_delay", RunningOutUID, alter("total_delay"), 0, 0, 1},
		{"alter date", RunningOutUID, alter("date"), 0, 0, 1},
		{"alter origin", RunningOutUID, alter("origin"), 0, 0, 1},
		{"alter number", RunningOutUID, alter("number"), 1, 0, 1},
		{"remove", HourlyOutUID, remove, 1, 0, 0},
		{"double", HourlyOutUID, double, 0, 1, 0},
		{"alter hour", HourlyOutUID, alter("hour"), 1, 0, 1},
		{"alter flights", HourlyOutUID, alter("flights"), 0, 0, 1},
		{"alter mean_delay", HourlyOutUID, alter("mean_delay"), 0, 0, 1},
		{"alter max_delay", HourlyOutUID, alter("max_delay"), 0, 0, 1},
		{"alter origin", HourlyOutUID, alter("origin"), 1, 0, 1},
	} {
		t.Run(fmt.Sprintf("%s in %s", c.what, c.uid), func(t *testing.T) {
			b := output(t, rows)
			if r, err := verify(t.Context(), b, job, rows); err != nil || !r.Verified {
				t.Fatalf("before: %+v, %v", r, err)
			}
			tamper(t, b, c.uid, c.change)
			r, err := verify(t.Context(), b, job, rows)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verified || r.Lost != c.lost || r.Duplicated != c.duplicated || r.Wrong != c.wrong || len(r.Differences) == 0 {
				t.Errorf("report %+v, want %d lost, %d duplicated, %d wrong", r, c.lost, c.duplicated, c.wrong)
			}
		})
	}
}

func TestMissingPartIsCaught(t *testing.T) {
	rows := extract(t, 5000)
	b := output(t, rows)
	tamper(t, b, RunningOutUID, none)
	if r, err := verify(t.Context(), b, job, rows); err != nil || r.Verified || r.Lost == 0 || len(r.Differences) != differencesMax {
		t.Errorf("report %+v, %v", r, err)
	}
	if r, err := verify(t.Context(), mem.New(), job, rows); err != nil || r.Verified || r.Lost <= 5000 {
		t.Errorf("without any output: %+v, %v", r, err)
	}
}

func TestLinesAreJSON(t *testing.T) {
	running := Running{7, "A\"\\é\n", -3, 4, -5}
	hour := Hour{"ATL", 3_600_000, 3, -1.0 / 3, -1}
	line, err := running.AppendJSON(nil)
	var r Running
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil || r != running {
		t.Errorf("%s reads as %+v, %v", line, r, err)
	}
	line, err = hour.AppendJSON(nil)
	var h Hour
	if err == nil {
		err = json.Unmarshal(line, &h)
	}
	if err != nil || h != hour {
		t.Errorf("%s reads as %+v, %v", line, h, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	out := output(b, extract(b, 0))
	for b.Loop() {
		if r, err := Verify(b.Context(), out, job); err != nil || !r.Verified {
			b.Fatalf("%+v, %v", r, err)
		}
	}
}
