package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/wire"
)

// TestBadInput gives a small cluster everything that a tired person, or a
// broken machine, may give it. Each time the answer says what is wrong, the exit
// status says what kind of thing it is, and the cluster is as it was before.
func TestBadInput(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c := start(t, Size{Controllers: 1, Workers: 1, Slots: 4})
	poll(t, ctx, "the worker", func() bool {
		out, err := c.CLI(ctx, "worker", "list", "-o", "json", "--timeout", "60s")
		must(t, err)
		return strings.Contains(out, `"connected"`)
	})
	t.Run("command lines", func(t *testing.T) { badCommandLines(t, ctx, c) })
	t.Run("programs", func(t *testing.T) { badPrograms(t, ctx, c) })
	t.Run("wrong hash", func(t *testing.T) { wrongHash(t, ctx, c) })
	t.Run("nothing is left", func(t *testing.T) { nothingIsLeft(t, ctx, c) })
	t.Run("rows", func(t *testing.T) { badRows(t, ctx, c) })
	t.Run("first bad row", func(t *testing.T) { firstBadRow(t, ctx, c) })
	t.Run("panic", func(t *testing.T) { panicking(t, ctx, c) })
	t.Run("damaged artifact", func(t *testing.T) { damagedArtifact(t, ctx, c) })
	t.Run("slots", func(t *testing.T) { tooFewSlots(t, ctx, c) })
}

// Exit statuses of the admin CLI.
const (
	failed      = 1
	usage       = 2
	notFound    = 3
	unavailable = 4
)

// refused runs an admin command that can not succeed.
func refused(t *testing.T, ctx context.Context, c *Cluster, code int, wants []string, args ...string) {
	t.Helper()
	o, err := c.Ask(ctx, args...)
	must(t, err)
	if o.Code != code || o.Stdout != "" || !strings.HasPrefix(o.Stderr, "cairn: ") {
		t.Errorf("%q: exit status %d, want %d; printed %q, %q", args, o.Code, code, o.Stdout, o.Stderr)
	}
	says(t, o.Stderr, wants...)
}

func badCommandLines(t *testing.T, ctx context.Context, c *Cluster) {
	text := filepath.Join(c.Dir, "c1.log")
	for _, test := range []struct {
		code int
		want string
		args []string
	}{
		{usage, "--bogus", []string{"--bogus"}},
		{usage, "--bogus", []string{"cluster", "status", "--bogus"}},
		{usage, `no command "frobnicate"`, []string{"frobnicate"}},
		{usage, `no command "frobnicate"`, []string{"job", "frobnicate"}},
		{usage, "cairn job show JOB", []string{"job", "show"}},
		{usage, "table or json", []string{"job", "list", "-o", "yaml"}},
		{usage, "cairn checkpoint list", []string{"checkpoint", "show", "nope", "first"}},
		{usage, "not an executable", []string{"job", "submit", text}},
		{usage, "Bad Name", []string{"job", "submit", c.Counter, "--name", "Bad Name"}},
		{notFound, `"nope": no such job`, []string{"job", "show", "nope"}},
		{notFound, `"nope": no such job`, []string{"job", "cancel", "nope"}},
		{notFound, `"nope": no such job`, []string{"job", "restart", "nope"}},
		{notFound, `"nope": no such job`, []string{"job", "logs", "nope"}},
		{notFound, `"nope": no such job`, []string{"checkpoint", "list", "nope"}},
		{notFound, `"nope": no such job`, []string{"checkpoint", "trigger", "nope"}},
		{unavailable, "127.0.0.1:9: ", []string{"job", "list", "--controllers", "127.0.0.1:9", "--timeout", "1s"}},
	} {
		refused(t, ctx, c, test.code, []string{test.want}, test.args...)
	}
}

func badPrograms(t *testing.T, ctx context.Context, c *Cluster) {
	for _, test := range []struct {
		wants []string
		args  []string
	}{
		{[]string{"flag provided but not defined: -bogus", "-panic-at"}, []string{c.Counter, "--", "--bogus"}},
		{[]string{`operator "count" keeps state and has no uid`}, []string{c.Counter, "--", "--no-uid"}},
		{[]string{"cycle: left -> right -> left"}, []string{c.Cycle}},
		{[]string{"must call stream.Main"}, []string{c.Cairn, "--", "version"}},
	} {
		refused(t, ctx, c, failed, test.wants, append([]string{"job", "submit"}, test.args...)...)
	}
}

// wrongHash sends an artifact under another's name.
func wrongHash(t *testing.T, ctx context.Context, c *Cluster) {
	conn, err := grpc.NewClient("passthrough:///"+c.Addresses[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer conn.Close()
	put, err := wire.NewControlClient(conn).PutArtifact(ctx)
	must(t, err)
	wrong, data := strings.Repeat("ab", 32), []byte("not what was announced")
	must(t, put.Send(&wire.ArtifactChunk{Sha256: wrong, Size: int64(len(data)), Data: data}))
	_, err = put.CloseAndRecv()
	if status.Code(err) != codes.InvalidArgument {
		t.Fatalf("put an artifact with a wrong hash: %v", err)
	}
	says(t, status.Convert(err).Message(), fmt.Sprintf("%x", sha256.Sum256(data)), "announced was "+wrong)
	if _, err := os.Stat(filepath.Join(c.artifacts(t), wrong)); !os.IsNotExist(err) {
		t.Errorf("the bucket has it: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(c.Dir, "c1", "*.part")); err != nil || len(left) != 0 {
		t.Errorf("the controller keeps %q, %v", left, err)
	}
}

// artifacts is the folder of the bucket that has the artifacts.
func (c *Cluster) artifacts(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.Store, "c-*", "artifacts"))
	if err != nil || len(found) != 1 {
		t.Fatalf("artifacts in %s: %q, %v", c.Store, found, err)
	}
	return found[0]
}

// nothingIsLeft: what was refused is no job, and the cluster works.
func nothingIsLeft(t *testing.T, ctx context.Context, c *Cluster) {
	out, err := c.CLI(ctx, "job", "list", "-o", "json")
	must(t, err)
	for _, name := range []string{"counter", "cycle", "cairn"} {
		if strings.Contains(out, `"`+name) {
			t.Errorf("a refused job is listed: %s", out)
		}
	}
}

// inputs are the same rows in two formats: two good and two bad.
var inputs = map[string]string{
	"rows.csv":   "id,name\n1,one\nrubbish,two\n3,three,3\n4,four\n",
	"rows.jsonl": `{"id":1,"name":"one"}` + "\n{\"id\":\nrubbish\n" + `{"id":4,"name":"four"}` + "\n",
}

// badRows: bad rows are counted, logged and set aside, and the job goes on.
func badRows(t *testing.T, ctx context.Context, c *Cluster) {
	for file, content := range inputs {
		in, out, bad := filepath.Join(c.Dir, file), filepath.Join(c.Dir, file+".out"), filepath.Join(c.Dir, file+".bad")
		must(t, os.WriteFile(in, []byte(content), 0o600))
		job := c.submit(t, ctx, c.Rows, "--", "--in", in, "--out", "file://"+out, "--bad", "file://"+bad, "--stay")
		c.waitJob(t, ctx, job, "two bad rows of "+file, func(v view) bool { return badRecords(v) == 2 })
		poll(t, ctx, "the rows of "+file, func() bool { return len(lines(t, out, job)) == 2 && len(lines(t, bad, job)) == 2 })
		if rows := strings.Join(lines(t, out, job), ""); rows != `{"id":1,"name":"one"}{"id":4,"name":"four"}` {
			t.Errorf("%s: the good rows are %s", file, rows)
		}
		says(t, strings.Join(lines(t, bad, job), "\n"), in, "row 1", "row 2", `"Raw":"rubbish`)
		log, err := c.CLI(ctx, "job", "logs", job)
		must(t, err)
		says(t, log, "bad record", in, "row 1", "row 2")
		if strings.Contains(log, "strconv") {
			t.Errorf("%s: the log speaks of Go: %s", file, log)
		}
		if v := c.show(t, ctx, job); v.Job.Status != "running" || v.Job.Attempt != 1 {
			t.Errorf("%s: the job did not go on: %+v", file, v.Job)
		}
		c.cancel(t, ctx, job)
	}
}

func badRecords(v view) int64 {
	var n int64
	for _, s := range v.Subtasks {
		n += s.Stats.BadRecords
	}
	return n
}

// lines are those of a job's committed output in a folder.
func lines(t *testing.T, folder, job string) []string {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(folder, job, "*", "part-*"))
	must(t, err)
	var all []string
	for _, part := range parts {
		data, err := os.ReadFile(part)
		must(t, err)
		all = append(all, strings.Split(strings.TrimSpace(string(data)), "\n")...)
	}
	return all
}

func (c *Cluster) cancel(t *testing.T, ctx context.Context, job string) {
	t.Helper()
	_, err := c.CLI(ctx, "job", "cancel", job)
	must(t, err)
	c.waitStatus(t, ctx, job, "cancelled")
}

// firstBadRow: a job that asked for it fails with the row's place.
func firstBadRow(t *testing.T, ctx context.Context, c *Cluster) {
	for file := range inputs {
		in, out := filepath.Join(c.Dir, file), "file://"+filepath.Join(c.Dir, "none")
		job := c.submit(t, ctx, c.Rows, "--restart-attempts", "-1", "--", "--in", in, "--out", out, "--bad", out, "--fail")
		v := c.waitStatus(t, ctx, job, "failed")
		says(t, v.Job.Reason, "worker w1", `operator "read"`, in, "row 1", "restart strategy")
	}
}

// panicking: a job that panics again and again ends, by its restart strategy,
// with the operator and the panic as its reason and the stack beside it.
func panicking(t *testing.T, ctx context.Context, c *Cluster) {
	job := c.submit(t, ctx, c.Counter, "--restart-attempts", "1", "--", "--panic-at", "500")
	v := c.waitStatus(t, ctx, job, "failed")
	says(t, v.Job.Reason, "worker w1", `operator "count"`, "panic: record 500 is one too many", "restart strategy")
	if strings.Contains(v.Job.Reason, "\n") {
		t.Errorf("the reason is no line: %s", v.Job.Reason)
	}
	if v.Job.Attempt != 2 || len(v.Failures) != 2 || !strings.Contains(v.Failures[0].Stack, "main.(*counter).Process") {
		t.Errorf("attempt %d, failures %+v", v.Job.Attempt, v.Failures)
	}
	log, err := c.CLI(ctx, "job", "logs", job)
	must(t, err)
	if !strings.Contains(log, "\nmain.(*counter).Process") {
		t.Errorf("no stack in the log, line by line: %s", log)
	}
}

// damagedArtifact damages a running job's executable in the bucket, keeping its
// size, takes the worker's copy away and ends the process. The worker refuses
// what it finds, and keeps nothing of it; submitting the program again heals it.
func damagedArtifact(t *testing.T, ctx context.Context, c *Cluster) {
	program, err := os.ReadFile(c.Counter)
	must(t, err)
	own := filepath.Join(c.Dir, "damaged") // other bytes than the other jobs', and the same program
	must(t, os.WriteFile(own, append(program, "own"...), 0o755))
	sum := sha256.Sum256(append(program, "own"...))
	name, end := hex.EncodeToString(sum[:]), filepath.Join(c.Dir, "end")
	job := c.submit(t, ctx, own, "--", "--exit-if", end)
	c.waitStatus(t, ctx, job, "running")

	damage(t, filepath.Join(c.artifacts(t), name))
	local := filepath.Join(c.Dir, "w1", "artifacts", name)
	must(t, os.Remove(local))
	must(t, os.WriteFile(end, nil, 0o600))
	v := c.waitJob(t, ctx, job, "the refusal", func(v view) bool { return len(v.Failures) >= 2 })
	says(t, v.Failures[0].Reason, "worker w1: fetch artifact "+name[:12], "object corrupt", "want "+name)
	if left, err := filepath.Glob(local + "*"); err != nil || len(left) != 0 {
		t.Errorf("the worker keeps %q, %v", left, err)
	}

	must(t, os.Remove(end))
	again := c.submit(t, ctx, own)
	c.cancel(t, ctx, again)
	c.waitStatus(t, ctx, job, "running")
	c.cancel(t, ctx, job)
}

func damage(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("damaged"), 100)
	must(t, err)
	must(t, f.Close())
}

// tooFewSlots: a job that needs more slots than there are waits, and says so.
func tooFewSlots(t *testing.T, ctx context.Context, c *Cluster) {
	job := c.submit(t, ctx, c.Counter, "--parallelism", "6")
	v := c.waitJob(t, ctx, job, "the wait for slots", func(v view) bool { return v.SlotsMissing > 0 })
	if v.SlotsMissing != 2 {
		t.Errorf("%d slots are missing, want 2 of 6", v.SlotsMissing)
	}
	table, err := c.CLI(ctx, "job", "show", job)
	must(t, err)
	says(t, table, "waiting for 2 slots more")
	c.cancel(t, ctx, job)
}
