package task

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/cairnstream/cairn/engine"
)

// traceFile takes events for measurements from outside, one JSON object a
// line. All processes of a machine append to the same file: each line is one
// write to a file opened for appending, so lines do not mix.
type traceFile struct{ f *os.File } // nil: no trace is kept

// openTrace opens the trace file; "" keeps no trace.
func openTrace(path string) (*traceFile, error) {
	if path == "" {
		return &traceFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the trace file: %w", err)
	}
	return &traceFile{f: f}, nil
}

func (t *traceFile) write(event engine.TraceEvent) error {
	if t.f == nil {
		return nil
	}
	line, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode trace event: %w", err)
	}
	if _, err := t.f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write trace event: %w", err)
	}
	return nil
}

// Close closes the file.
func (t *traceFile) Close() error {
	if t.f == nil {
		return nil
	}
	return t.f.Close()
}
