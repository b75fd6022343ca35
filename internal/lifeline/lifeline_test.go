//go:build unix

package lifeline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// envMode makes the test binary one of the processes below.
const envMode = "CAIRN_TEST_LIFELINE"

func TestMain(m *testing.M) {
	switch os.Getenv(envMode) {
	case "watch": // ends with its lifeline
		if err := Watch(func() { os.Exit(70) }); err != nil {
			panic(err)
		}
		fmt.Println("ready")
		forever()
	case "sleep": // ends by a signal only
		fmt.Println("ready")
		forever()
	case "family": // starts a child in its own group
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), envMode+"=sleep")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			panic(err)
		}
		forever()
	case "parent": // starts a child with a Spawner and waits for its own death
		s := NewSpawner()
		go s.Run(context.Background())
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), envMode+"=sleep")
		child.Stdout = os.Stdout
		if err := s.Start(child); err != nil {
			panic(err)
		}
		forever()
	}
	os.Exit(m.Run())
}

// forever waits for a signal that ends the process. A bare select{} would be a
// deadlock to the runtime.
func forever() {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	<-hup
}

// helper prepares one of the processes; its output ends when all who hold it do.
func helper(t *testing.T, mode string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envMode+"="+mode)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

func awaitReady(t *testing.T, out *bufio.Reader) {
	t.Helper()
	if line, err := out.ReadString('\n'); line != "ready\n" || err != nil {
		t.Fatalf("got %q, %v", line, err)
	}
}

// awaitEnd returns when no process holds the output any more.
func awaitEnd(t *testing.T, out *bufio.Reader) {
	t.Helper()
	if _, err := io.Copy(io.Discard, out); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
}

func TestChildEndsWithItsLine(t *testing.T) {
	line, err := NewLine()
	if err != nil {
		t.Fatal(err)
	}
	cmd, out := helper(t, "watch")
	line.Attach(cmd)
	Own(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, out)
	if err := line.Close(); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, out)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 70 {
		t.Fatalf("it ended with %v", err)
	}
}

func TestKillGroupReachesGrandchildren(t *testing.T) {
	cmd, out := helper(t, "family")
	Own(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, out) // the grandchild
	if err := KillGroup(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, out)
	if err := cmd.Wait(); err == nil {
		t.Error("it ended well")
	}
	if err := KillGroup(cmd.Process.Pid); err != nil {
		t.Errorf("a group that is gone: %v", err)
	}
}

func TestSignalGroupRefusesWhatIsNoGroup(t *testing.T) {
	for _, pid := range []int{-5, -1, 0, 1} {
		if err := SignalGroup(pid, syscall.Signal(0)); err == nil || !strings.Contains(err.Error(), "not a group") {
			t.Errorf("%d: %v", pid, err)
		}
	}
}

func TestWatch(t *testing.T) {
	if err := Watch(func() { t.Error("gone without a line") }); err != nil {
		t.Error(err)
	}
	t.Setenv(EnvFD, "two")
	if err := Watch(nil); err == nil || !strings.Contains(err.Error(), EnvFD) {
		t.Errorf("a bad number: %v", err)
	}
}

func TestSpawnerRefusesAfterItsEnd(t *testing.T) {
	s := NewSpawner()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(exec.Command(os.Args[0])); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}
