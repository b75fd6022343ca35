package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeReport writes a report of one run into a folder.
func writeReport(t *testing.T, dir, name string, r NexmarkReport) {
	t.Helper()
	r.Runs = []*NexmarkRun{{NexmarkFigures: NexmarkFigures{EventsPerSecond: 1}}}
	data, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".json"), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCompareRefusesOtherWork: a tenth of the events is no measure of all of them.
func TestCompareRefusesOtherWork(t *testing.T) {
	a := t.TempDir()
	writeReport(t, a, "q0", NexmarkReport{Query: "q0", Events: 100})
	for what, r := range map[string]NexmarkReport{
		"events": {Query: "q0", Events: 10}, "query": {Query: "q1", Events: 100}, "rate": {Query: "q0", Events: 100, Rate: 5},
	} {
		b := t.TempDir()
		writeReport(t, b, "q0", r)
		if _, err := compare(a, b); err == nil || !strings.Contains(err.Error(), "different work") {
			t.Errorf("another %s: %v", what, err)
		}
	}
}

// TestCompareNamesWhatIsMissing: a measurement that failed must not go unnoticed.
func TestCompareNamesWhatIsMissing(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	writeReport(t, a, "q0", NexmarkReport{Query: "q0"})
	writeReport(t, a, "q1", NexmarkReport{Query: "q1"})
	writeReport(t, b, "q0", NexmarkReport{Query: "q0"})
	var out bytes.Buffer
	if err := RunCompare(CompareConfig{A: a, B: b, Stdout: &out}); err != nil || !strings.Contains(out.String(), "q1 is in "+a+" only") {
		t.Errorf("%v: %s", err, &out)
	}
}
