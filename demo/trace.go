package demo

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// trace is one line that a job process wrote: package engine's TraceEvent, as
// far as the demo reads it.
type trace struct {
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	From    time.Time `json:"from"`
	Job     string    `json:"job"`
	Attempt uint64    `json:"attempt"`
	Process string    `json:"process"`
	Task    struct {
		Vertex  int `json:"vertex"`
		Subtask int `json:"subtask"`
	} `json:"task"`
	Checkpoint uint64 `json:"checkpoint"`
}

// readTraces reads what all workers' job processes wrote about a job, in order
// of time. A line that a kill cut off is the last of its file and is left out.
func readTraces(dirs []string, job string) ([]trace, error) {
	var all []trace
	for _, dir := range dirs {
		path := filepath.Join(dir, "trace.jsonl")
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // this worker never ran a subtask
		}
		if err != nil {
			return nil, fmt.Errorf("read traces: %w", err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			var e trace
			if json.Unmarshal(lines.Bytes(), &e) == nil && e.Job == job {
				all = append(all, e)
			}
		}
		f.Close()
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("read traces: %s: %w", path, err)
		}
	}
	slices.SortStableFunc(all, func(a, b trace) int { return a.At.Compare(b.At) })
	return all, nil
}

// window is a stretch of time.
type window struct{ from, to time.Time }

func (w window) overlaps(from, to time.Time) bool { return from.Before(w.to) && to.After(w.from) }

// longestGap is the longest sink gap that overlaps any of the windows, over
// all sink subtasks. Gaps below 10 ms are not written down, so a job without
// any longer one measures 10 ms at most. ok is false without a window.
func longestGap(traces []trace, in, notIn []window) (gap time.Duration, ok bool) {
	if len(in) == 0 {
		return 0, false
	}
	gap = 10 * time.Millisecond
	for _, e := range traces {
		if e.Kind == "sink_gap" && overlapsAny(in, e.From, e.At) && !overlapsAny(notIn, e.From, e.At) {
			gap = max(gap, e.At.Sub(e.From))
		}
	}
	return gap, true
}

func overlapsAny(windows []window, from, to time.Time) bool {
	return slices.ContainsFunc(windows, func(w window) bool { return w.overlaps(from, to) })
}

// longestCommitGap is the longest time between two commits of any sink subtask
// that overlaps the window.
func longestCommitGap(traces []trace, w window) (gap time.Duration, ok bool) {
	var last time.Time
	for _, e := range traces {
		if e.Kind != "commit" {
			continue
		}
		if !last.IsZero() && w.overlaps(last, e.At) {
			gap, ok = max(gap, e.At.Sub(last)), true
		}
		last = e.At
	}
	return gap, ok
}

// firstRecord is when the first sink subtask got its first record of an attempt.
func firstRecord(traces []trace, attempt uint64) (time.Time, bool) {
	for _, e := range traces {
		if e.Kind == "first_record" && e.Attempt == attempt {
			return e.At, true
		}
	}
	return time.Time{}, false
}

// unexplainedStarts counts subtasks that started although their attempt lost no
// process: those of attempts that no worker's kill made, and second starts
// within an attempt. explained are the attempts that a worker's kill made.
func unexplainedStarts(traces []trace, explained map[uint64]bool) int {
	type start struct {
		attempt         uint64
		vertex, subtask int
	}
	seen := map[start]bool{}
	n := 0
	for _, e := range traces {
		if e.Kind != "start" {
			continue
		}
		s := start{e.Attempt, e.Task.Vertex, e.Task.Subtask}
		if seen[s] || e.Attempt > 1 && !explained[e.Attempt] {
			n++
		}
		seen[s] = true
	}
	return n
}
