package file

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
)

// writerIn makes this test binary the writer that TestKilledWriter kills.
const writerIn = "CAIRN_TEST_WRITER_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerIn); dir != "" {
		writeAndWait(dir)
	}
	os.Exit(m.Run())
}

// writeAndWait stops in the middle of a write until it is killed.
func writeAndWait(dir string) {
	b, err := Open(dir, Options{})
	if err != nil {
		panic(err)
	}
	f, err := b.createTemp()
	if err != nil {
		panic(err)
	}
	if _, err := f.WriteString("half of an object"); err != nil {
		panic(err)
	}
	os.Stdout.WriteString("written\n")
	os.Stdin.Read(make([]byte, 1)) // the end of the test ends it too
	os.Exit(0)
}

func TestKilledWriter(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerIn+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close() // Wait closes it too
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "written\n" {
		t.Fatalf("the writer said %q, %v", line, err)
	}
	put(t, open(t, dir), "k")
	alive := len(temps(t, dir)) // its lock and file, and one lock of ours
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // killed: its status tells nothing
	put(t, open(t, dir), "k2")
	if left := temps(t, dir); alive != 3 || len(left) != 2 {
		t.Errorf("%d temp files while it lived, then %q: want 3, then 2 locks of ours", alive, left)
	}
}
