//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/admin"
)

// asCairn in the environment makes the test binary be cairn: the demo starts
// its own executable again for controllers, workers and the job.
const asCairn = "CAIRN_TEST_AS_CAIRN"

func TestMain(m *testing.M) {
	if os.Getenv(asCairn) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestDemo runs the demo as a person does: a cluster of real processes, the
// leader killed within a checkpoint, a worker killed, and every row compared.
func TestDemo(t *testing.T) {
	for _, faults := range []string{"leader,worker", "leader+worker"} {
		t.Run(faults, func(t *testing.T) { runDemo(t, faults) })
	}
}

func runDemo(t *testing.T, faults string) {
	t.Setenv(asCairn, "1")
	t.Setenv("TMPDIR", t.TempDir())
	var stdout, stderr bytes.Buffer
	err := run(context.Background(), []string{"demo", "--faults", faults, "--duration", "20s", "--json"}, &stdout, &stderr)
	t.Logf("%s\n%s", &stderr, &stdout)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Verified          bool
		Records           int64
		Lost, Duplicated  int64
		Wrong             int64
		LeaderKills       int `json:"leader_kills"`
		WorkerKills       int `json:"worker_kills"`
		Restarted         int `json:"tasks_restarted_by_leader_kills"`
		CheckpointsFailed int `json:"checkpoints_failed"`
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Verified || r.Records != 508_239 || r.Lost+r.Duplicated+r.Wrong != 0 || r.LeaderKills < 1 || r.WorkerKills != 1 || r.Restarted != 0 {
		t.Errorf("report %+v", r)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v behind (%v)", left, err)
	}
}

// TestBadCommandLines: each is refused as a usage error that says what to do.
func TestBadCommandLines(t *testing.T) {
	for line, want := range map[string]string{
		"demo --fault leader":                "unknown flag: --fault",
		"demo --faults leder":                `fault "leder": use leader, worker or leader+worker`,
		"dance":                              `cairn has no command "dance": see cairn --help`,
		"jbo":                                `cairn has no command "jbo": did you mean job?`,
		"job":                                "",
		"job polish":                         `cairn job has no command "polish": see cairn job --help`,
		"help dance":                         `cairn has no command "dance"`,
		"help job dance":                     `cairn job has no command "dance"`,
		"version --long":                     "unknown flag: --long",
		"version 2":                          "usage: cairn version",
		"completion tcsh":                    `cairn completion has no command "tcsh"`,
		"job show":                           "accepts 1 arg(s), received 0",
		"job submit":                         "name one package or executable",
		"checkpoint show j seven":            `checkpoint "seven": give its number`,
		"cluster status -o xml":              `--output "xml": use table or json`,
		"job submit ./main.go --retained=-1": "retained -1: use 1 to 10000",
		"dev --slots 0":                      "use at least 1 worker and slot",
	} {
		t.Run(line, func(t *testing.T) {
			var out bytes.Buffer
			err := run(context.Background(), strings.Fields(line), &out, &out)
			if want == "" {
				if err != nil || !strings.Contains(out.String(), "Available Commands") {
					t.Errorf("want help, got %v and %q", err, &out)
				}
				return
			}
			if err == nil || !strings.Contains(admin.Message(err), want) || admin.ExitCode(err) != admin.ExitUsage {
				t.Errorf("error %v (exit %d), want exit %d and %q", err, admin.ExitCode(err), admin.ExitUsage, want)
			}
		})
	}
}

func TestUnreachableClusterExitsAsUnavailable(t *testing.T) {
	var out bytes.Buffer
	err := run(context.Background(), []string{"job", "list", "--controllers", "127.0.0.1:1", "--timeout", "200ms"}, &out, &out)
	if admin.ExitCode(err) != admin.ExitUnavailable || !strings.Contains(fmt.Sprint(err), "127.0.0.1:1") {
		t.Errorf("exit %d, error %v", admin.ExitCode(err), err)
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), []string{"version"}, &out, &out); err != nil || !strings.HasPrefix(out.String(), "cairn ") {
		t.Errorf("%v: %q", err, &out)
	}
}
