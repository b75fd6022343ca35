package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/chaos/testjobs/tally/tally"
	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

// part is what a job published, up to a checkpoint; 0: all of it.
type part struct {
	job  string
	upTo dataflow.CheckpointID
}

// move is a job on its way from one parallelism, backend and program to others. Its history
// is what it and the jobs before it published: together, each record once.
type move struct {
	*Cluster
	t       *testing.T
	ctx     context.Context
	history []part
	read    map[string][]tally.Line // by key: a committed part never changes
}

// TestSavepointMoves: a job of 100,000 keys goes from parallelism 4 on memory to 7 on lsm
// and 3 on memory by canonical savepoints, is forked, goes back from a program that panics,
// and on with one whose state has another field. A plan tells beforehand that all is
// restored. After each step each key is seen again, and every line's totals are exact.
func TestSavepointMoves(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	m := &move{Cluster: start(t, Size{Controllers: 1, Workers: 1, Slots: 8}), t: t, ctx: ctx, read: map[string][]tally.Line{}}
	must(t, os.Mkdir(filepath.Join(m.Dir, "out"), 0o755))
	out := []string{"--", "--out", "file://" + filepath.Join(m.Dir, "out")}

	first := m.begin(append([]string{m.Tally, "--parallelism", "4", "--state-backend", "memory"}, out...)...)
	for _, to := range [][]string{{"7", "lsm"}, {"3", "memory"}} {
		restore := append([]string{m.Tally, "--from", m.stop(), "--parallelism", to[0], "--state-backend", to[1]}, out...)
		m.plan(restore...)
		m.begin(restore...)
	}
	job := m.history[len(m.history)-1].job
	m.fork(job)

	m.rollBack(job, out)
	m.plan(append([]string{m.TallySince, "--from", job}, out...)...)
	said, err := m.CLI(ctx, append([]string{"job", "upgrade", job, m.TallySince, "--healthy-within", "60s"}, out...)...)
	must(t, err)
	says(t, said, "upgrade of job "+job+": done: ")
	m.seenSince()
	m.checkSubtasks(t, ctx, job, 3) // as it was submitted, though the upgrade does not say so
	m.stop()
	t.Logf("from %s to %s: %d records", first, job, len(m.lines(m.history)))
}

// begin submits the next job of the history, and waits until each key is seen again.
func (m *move) begin(submit ...string) string {
	m.t.Helper()
	job := m.submit(m.t, m.ctx, submit...)
	m.history = append(m.history, part{job: job})
	m.seen(job, tally.Keys)
	return job
}

// seen waits until a job has published so many lines.
func (m *move) seen(job string, lines int) {
	m.t.Helper()
	m.waitJob(m.t, m.ctx, job, strconv.Itoa(lines)+" lines", func(view) bool { return len(m.lines([]part{{job: job}})) >= lines })
}

// stop stops the newest job with a canonical savepoint. It returns where that is.
func (m *move) stop() string {
	m.t.Helper()
	job := m.history[len(m.history)-1].job
	var stopped struct {
		Status    string
		Savepoint savepointView
	}
	m.savepoint(m.t, m.ctx, &stopped, "job", "stop", job, "--timeout", "60s")
	if s := stopped.Savepoint; stopped.Status != "finished" || s.Status != "completed" || s.Format != "canonical" || s.Rows < tally.Keys {
		m.t.Fatalf("stopped: %+v", stopped)
	}
	m.exact(m.history)
	return stopped.Savepoint.Location
}

// plan checks that a submit would restore each operator with all of its states.
func (m *move) plan(submit ...string) {
	m.t.Helper()
	said, err := m.CLI(m.ctx, append([]string{"job", "plan", "--timeout", "60s"}, submit...)...)
	must(m.t, err)
	m.t.Logf("plan:\n%s", said)
	rows := strings.Split(strings.TrimSpace(said), "\n")[1:]
	for _, row := range rows {
		if !strings.Contains(row, " restored ") {
			m.t.Errorf("not all is restored:\n%s", said)
		}
	}
	says(m.t, said, "numbers ", "state (value)", tally.OutUID+" ")
}

// fork forks the job, whose own total must not change, and cancels the fork.
func (m *move) fork(job string) {
	m.t.Helper()
	var forked struct{ Job string }
	m.savepoint(m.t, m.ctx, &forked, "job", "fork", job, "--timeout", "60s")
	var shown struct{ Origin string }
	m.savepoint(m.t, m.ctx, &shown, "job", "show", forked.Job)
	var upTo dataflow.CheckpointID
	if _, err := fmt.Sscanf(shown.Origin, "checkpoint %d of "+job, &upTo); err != nil {
		m.t.Fatalf("the fork started from %q: %v", shown.Origin, err)
	}
	m.seen(forked.Job, tally.Keys)
	_, err := m.CLI(m.ctx, "job", "cancel", forked.Job)
	must(m.t, err)
	m.waitStatus(m.t, m.ctx, forked.Job, "cancelled")
	history := slices.Clone(m.history)
	history[len(history)-1].upTo = upTo
	m.exact(append(history, part{job: forked.Job}))
	m.exact(m.history)
}

// rollBack upgrades the job to a program that panics: the old one goes on.
func (m *move) rollBack(job string, out []string) {
	m.t.Helper()
	said, err := m.Ask(m.ctx, append(append([]string{"job", "upgrade", job, m.TallySince}, out...), "--panic")...)
	must(m.t, err)
	m.t.Logf("rolled back: %+v", said)
	if said.Code != 1 {
		m.t.Errorf("exit code %d of an upgrade that went back", said.Code)
	}
	says(m.t, said.Stderr, "upgrade job "+job+": rolled back: ", "no records today")
	m.seen(job, len(m.lines([]part{{job: job}}))+tally.Keys)
	m.exact(m.history)
}

// seenSince waits until the new program has published each key.
func (m *move) seenSince() {
	m.t.Helper()
	job := m.history[len(m.history)-1]
	m.waitJob(m.t, m.ctx, job.job, "each key by the new program", func(view) bool {
		n := 0
		for _, l := range m.lines([]part{job}) {
			n += int(min(l.Since, 1))
		}
		return n >= tally.Keys
	})
}

// exact checks that a history is whole: of each split all records up to one, each once,
// with the totals that its number says.
func (m *move) exact(history []part) {
	m.t.Helper()
	lines := m.lines(history)
	next := make([]int64, tally.Splits)
	for i := range next {
		next[i] = int64(i)
	}
	slices.SortFunc(lines, func(a, b tally.Line) int { return int(a.Record - b.Record) })
	before := map[int64]int64{} // by key: records before there was a field Since
	for _, l := range lines {
		split := l.Record % tally.Splits
		if l.Record != next[split] || !l.Exact() {
			m.t.Fatalf("history %v: %+v, and record %d is the next of its split", history, l, next[split])
		}
		next[split] += tally.Splits
		key := l.Record % tally.Keys
		if was, known := before[key]; known && was != l.N-l.Since {
			m.t.Fatalf("history %v: %+v, and %d records of the key were before the field", history, l, was)
		} else if l.Since > 0 {
			before[key] = l.N - l.Since
		}
	}
}

// lines are what a history published.
func (m *move) lines(history []part) (lines []tally.Line) {
	m.t.Helper()
	bucket, err := open.Open(m.ctx, "file://"+filepath.Join(m.Dir, "out"), open.Options{})
	must(m.t, err)
	defer bucket.Close()
	for _, p := range history {
		parts, err := filesink.Parts(m.ctx, bucket, dataflow.JobID(p.job), tally.OutUID)
		must(m.t, err)
		for _, of := range parts {
			if p.upTo > 0 && of.Checkpoint > p.upTo {
				continue
			}
			if _, known := m.read[of.Key]; !known {
				m.read[of.Key] = linesOf(m.t, m.ctx, bucket, of.Key)
			}
			lines = append(lines, m.read[of.Key]...)
		}
	}
	return lines
}

func linesOf(t *testing.T, ctx context.Context, bucket objectstore.Bucket, key string) (lines []tally.Line) {
	t.Helper()
	r, err := bucket.Reader(ctx, key)
	must(t, err)
	defer r.Close()
	for decoder := json.NewDecoder(r); ; {
		var l tally.Line
		err := decoder.Decode(&l)
		if errors.Is(err, io.EOF) {
			return lines
		}
		must(t, err)
		lines = append(lines, l)
	}
}
