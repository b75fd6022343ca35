package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runFake runs a command with the fake cairn, and returns what it printed.
func runFake(t *testing.T, wrong string, args ...string) (string, error) {
	t.Helper()
	t.Setenv(fakeVariable, wrong)
	var out bytes.Buffer
	err := run(t.Context(), args, &out)
	return out.String(), err
}

// checkFake is the command check with the fake cairn.
func checkFake(t *testing.T, dir, wrong string) (string, error) {
	t.Helper()
	return runFake(t, wrong, "check", "--cairn", executable(t), "--dir", dir, "--queries", "q2")
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCheck goes through all combinations of a query and says of each how it went.
func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name, wrong string
		want        []string // in what is printed
		err         string
	}{
		{"right", "", []string{
			"q2    parallelism 1  memory  fault none ", "q2    parallelism 1  memory  fault worker", "q2    parallelism 4  lsm     fault worker",
			"equal, 2 rows\n", "equal, 2 rows, restarts 1, the first after 1 rows\n", "8 of 8 results equal",
		}, ""},
		{"a row lost", "lost", []string{
			"results-q2-4-lsm-worker: 1 rows are missing, 0 are too much\n  missing: 246, 2\n", "4 of 8 results equal",
		}, "4 of 8: results differ"},
		{"no fault", "late", []string{"the job was not restarted: it ended before the fault", "6 of 8 results equal"}, "2 of 8"},
		{"no run", "failed", []string{"exit status 1\ncairn: no checkpoint completed", "4 of 8 results equal"}, "4 of 8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := checkFake(t, t.TempDir(), test.wrong)
			if test.err == "" && err != nil || test.err != "" && (!errors.Is(err, errDiffers) || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
		})
	}
}

// TestStruck: a fault that did nothing, and a restart by a killed leader, are told.
func TestStruck(t *testing.T) {
	for _, test := range []struct {
		fault    string
		restarts int
		want     string
	}{
		{"none", 0, ""}, {"none", 1, ""}, {"worker", 0, "not restarted"}, {"worker", 1, ""},
		{"leader", 0, ""}, {"leader", 1, "restarted 1 times"}, {"leader+worker", 0, "not restarted"},
	} {
		err := struck(test.fault, test.restarts)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s, restarts %d: %v, want %q", test.fault, test.restarts, err, test.want)
		}
	}
}

// TestCheckKeepsWhatDiffers, for who looks for the reason, and no more; events are written once.
func TestCheckKeepsWhatDiffers(t *testing.T) {
	dir := t.TempDir()
	if _, err := checkFake(t, dir, "lost"); err == nil {
		t.Fatal("no error for a lost row")
	}
	for path, want := range map[string]bool{
		"results-q2-4-lsm-none": true, "results-q2-1-lsm-none": false, "events-1000000-1000-50-1": true, "events-1000000-1000-50-1.part": false,
	} {
		if _, err := os.Stat(filepath.Join(dir, path)); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	marker := filepath.Join(dir, "events-1000000-1000-50-1", "marker")
	if err := os.WriteFile(marker, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := checkFake(t, dir, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); err != nil {
		t.Errorf("the events were exported again: %v", err)
	}
}

// TestCompareCommand compares what lies there.
func TestCompareCommand(t *testing.T) {
	dir := t.TempDir()
	if err := fakeCairn([]string{"--events-out", dir, "--results-out", dir}, ""); err != nil {
		t.Fatal(err)
	}
	if err := fakeCairn([]string{"--parallelism", "4", "--results-out", filepath.Join(dir, "lost")}, "lost"); err != nil {
		t.Fatal(err)
	}
	out, err := runFake(t, "", "compare", "--events", dir, "--results", dir, "--query", "q2")
	if err != nil || out != "q2: equal, 2 rows\n" {
		t.Errorf("%q, %v", out, err)
	}
	out, err = runFake(t, "", "compare", "--events", dir, "--results", filepath.Join(dir, "lost"), "--query", "q2")
	if !errors.Is(err, errDiffers) || !strings.HasPrefix(out, "q2: DIFFERENT: 1 rows are missing") {
		t.Errorf("%q, %v", out, err)
	}
}

// TestBadArguments get an error that says what there is.
func TestBadArguments(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"chekc", `"chekc": say check or compare`},
		{"check q5", `"q5"`},
		{"check --queries q5,q6", `--queries: there is no query "q6"`},
		{"check --events many", `"many"`},
		{"check --event-rate 0", "--event-rate 0"},
		{"compare --query q5", "say --events, --results and --query"},
	} {
		if out, err := runFake(t, "", strings.Fields(test.args)...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q; printed %q", test.args, err, test.want, out)
		}
	}
}
