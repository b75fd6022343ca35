package chaos

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDaemonsRefuse starts controllers and workers with what is not theirs.
// Each ends at once, with one message that says what is wrong.
func TestDaemonsRefuse(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c := start(t, Size{Controllers: 1, Workers: 1, Slots: 1})
	poll(t, ctx, "the bucket's claim", func() bool {
		_, err := os.Stat(filepath.Join(c.Store, "cairn-cluster.json"))
		return err == nil
	})
	poll(t, ctx, "the worker's identity", func() bool {
		data, err := os.ReadFile(filepath.Join(c.Dir, "w1", "worker.json"))
		return err == nil && strings.Contains(string(data), `"cluster"`)
	})
	t.Run("running", func(t *testing.T) { refuseWhileRunning(t, ctx, c) })
	must(t, c.Kill(c.All()...))
	t.Run("stopped", func(t *testing.T) { refuseWhileStopped(t, ctx, c) })
}

// refusal is a daemon that must not run.
type refusal struct {
	name    string
	program string
	args    []string
	code    int
	wants   []string
}

func (r refusal) check(t *testing.T, ctx context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, context.DeadlineExceeded)
	defer cancel()
	o, err := Exec(ctx, nil, r.program, r.args...)
	if err != nil {
		t.Errorf("%s: it runs: %v", r.name, err)
		return
	}
	message := o.Stderr[strings.LastIndex("\n"+o.Stderr, "\n"+filepath.Base(r.program)+": "):]
	if o.Code != r.code || !strings.HasPrefix(message, filepath.Base(r.program)+": ") {
		t.Errorf("%s: exit status %d, want %d: %s", r.name, o.Code, r.code, o.Stderr)
	}
	says(t, message, r.wants...)
}

func refuseWhileRunning(t *testing.T, ctx context.Context, c *Cluster) {
	other := filepath.Join(c.Dir, "other")
	for _, r := range []refusal{
		{"unknown flag", c.Controller, []string{"--bogus"}, usage, []string{"unknown flag: --bogus", "controller --help"}},
		{"unknown flag", c.Worker, []string{"--bogus"}, usage, []string{"unknown flag: --bogus", "worker --help"}},
		{"nothing given", c.Controller, nil, usage, []string{"--id", "--data-dir", "--object-store", "--peers"}},
		{"nothing given", c.Worker, nil, usage, []string{"--data-dir", "--controllers"}},
		{"no bucket", c.Controller, alone(other, "127.0.0.1:0", filepath.Join(c.Dir, "nowhere")), failed, []string{"no such bucket", "nowhere", "create it"}},
		{"no object store", c.Controller, append(alone(other, "127.0.0.1:0", c.Store), "--object-store", "nonsense"), failed, []string{`"nonsense"`, "want file:///path"}},
		{"bucket of another", c.Controller, alone(other, freeAddress(t), c.Store), failed, []string{"bucket belongs to another cluster", c.Store, "give this cluster another bucket"}},
		{"data folder in use", c.Controller, alone(filepath.Join(c.Dir, "c1"), freeAddress(t), c.Store), failed, []string{"in use by another process", filepath.Join(c.Dir, "c1")}},
		{"data folder in use", c.Worker, c.worker("w1", "w1"), failed, []string{"in use by another worker", filepath.Join(c.Dir, "w1")}},
	} {
		t.Run(r.name+" "+filepath.Base(r.program), func(t *testing.T) { r.check(t, ctx) })
	}
}

func refuseWhileStopped(t *testing.T, ctx context.Context, c *Cluster) {
	data := filepath.Join(c.Dir, "c1")
	renamed := append(alone(data, "127.0.0.1:0", c.Store), "--id", "c2", "--peers", "c2="+freeAddress(t))
	joined := append(alone(data, "127.0.0.1:0", c.Store), "--peers", "c1="+freeAddress(t)+",c2="+freeAddress(t))
	for _, r := range []refusal{
		{"data folder of another id", c.Controller, renamed, failed, []string{"data directory belongs to another", `"c1"`, `"c2"`}},
		{"data folder of another cluster", c.Controller, joined, failed, []string{"data directory belongs to another", data}},
		{"data folder of another id", c.Worker, c.worker("w1", "w2"), failed, []string{`belongs to worker "w1", not "w2"`, "--data-dir"}},
	} {
		t.Run(r.name+" "+filepath.Base(r.program), func(t *testing.T) { r.check(t, ctx) })
	}
}

// alone are the arguments of a single controller c1.
func alone(data, address, store string) []string {
	return []string{"--id", "c1", "--data-dir", data, "--peers", "c1=" + address, "--object-store", "file://" + store}
}

func (c *Cluster) worker(folder, id string) []string {
	return []string{"--id", id, "--data-dir", filepath.Join(c.Dir, folder), "--controllers", strings.Join(c.Addresses, ",")}
}
