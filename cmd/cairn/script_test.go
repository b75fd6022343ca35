//go:build unix

package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cairnstream/cairn/wire"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected output in testdata/script; then read the diff")

// TestScripts runs the program as a person does, each script against a fake
// cluster of its own. See testdata/script/README.md for the scripts' commands.
func TestScripts(t *testing.T) {
	template := writeBucket(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *rewrite,
		RequireExplicitExec: true,
		Setup:               setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cairn":  func(ts *testscript.TestScript, _ bool, args []string) { runCairn(ts, 0, args) },
			"exits":  exits,
			"calls":  calls,
			"refuse": refuse,
			"hang":   func(ts *testscript.TestScript, _ bool, _ []string) { set(ts, func(f *fakeCluster) { f.hang = true }) },
			"nojobs": func(ts *testscript.TestScript, _ bool, _ []string) {
				set(ts, func(f *fakeCluster) { f.canned.jobs = &wire.ListJobsResponse{} })
			},
			"called": called,
			"bucket": copyBucket(template),
			"damage": damage,
			"lose":   lose,
		},
	})
}

type fakeKey struct{}

func setupScript(env *testscript.Env) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	dead, err := deadAddress()
	if err != nil {
		return err
	}
	f := newFakeCluster()
	server := f.server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	env.Defer(func() {
		server.Stop()
		<-served
	})
	env.Values[fakeKey{}] = f
	w, j := f.canned.workers.Workers, f.canned.jobs.Jobs
	env.Vars = append(env.Vars, asCairn+"=1", "TZ=UTC", "CAIRN="+self, "CAIRN_CONTROLLERS="+lis.Addr().String(), "LIVE="+lis.Addr().String(), "DEAD="+dead,
		fmt.Sprint("W1_SINCE=", w[0].SinceUnixMs), fmt.Sprint("W2_SINCE=", w[1].SinceUnixMs), fmt.Sprint("W3_SINCE=", w[2].SinceUnixMs),
		fmt.Sprint("SUBMITTED=", j[0].SubmittedUnixMs), fmt.Sprint("CHECKPOINTED=", j[0].LastCheckpointUnixMs), fmt.Sprint("SUBMITTED2=", j[1].SubmittedUnixMs),
		"PLATFORM="+runtime.GOOS+"/"+runtime.GOARCH, "GOCACHE="+goCache(), "GOFLAGS=")
	return nil
}

// goCache is where go builds here: a script's home is its own, and empty.
func goCache() string {
	if dir := os.Getenv("GOCACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "" // go says so itself
	}
	return filepath.Join(dir, "go-build")
}

// deadAddress is one where nobody listens: it was ours a moment ago.
func deadAddress() (string, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return lis.Addr().String(), lis.Close()
}

func set(ts *testscript.TestScript, change func(*fakeCluster)) {
	f := ts.Value(fakeKey{}).(*fakeCluster)
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// runCairn runs cairn and wants an exit code.
func runCairn(ts *testscript.TestScript, want int, args []string) {
	err := ts.Exec(ts.Getenv("CAIRN"), args...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("cairn %q exits with %d, want %d", args, got, want)
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 || args[1] != "cairn" {
		ts.Fatalf("usage: exits CODE cairn ARGUMENT...")
	}
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	runCairn(ts, code, args[2:])
}

func refuse(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	set(ts, func(f *fakeCluster) { f.refusals = n })
}

func calls(ts *testscript.TestScript, _ bool, _ []string) {
	set(ts, func(f *fakeCluster) {
		for _, line := range f.log {
			fmt.Fprintln(ts.Stdout(), line)
		}
		f.log = nil
	})
}

func called(ts *testscript.TestScript, _ bool, args []string) {
	f := ts.Value(fakeKey{}).(*fakeCluster)
	for method := range f.called {
		if method == args[0] {
			return
		}
	}
}
