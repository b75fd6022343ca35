package lifeline

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// EnvFD is the environment variable that tells a child the number of the file
// descriptor to watch.
const EnvFD = "CAIRN_LIFELINE_FD"

// Line is a parent's end of a pipe that its children watch.
type Line struct{ read, write *os.File }

// NewLine makes a pipe. It stays open until Close or the end of this process.
func NewLine() (*Line, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make lifeline: %w", err)
	}
	return &Line{read: r, write: w}, nil
}

// Attach hands the watched end to a child that is not started yet.
func (l *Line) Attach(cmd *exec.Cmd) {
	fd := 3 + len(cmd.ExtraFiles) // after standard input, output and error
	cmd.ExtraFiles = append(cmd.ExtraFiles, l.read)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, EnvFD+"="+strconv.Itoa(fd))
}

// Release lets the one child that watches this line live on after this process.
func (l *Line) Release() error {
	if _, err := l.write.Write([]byte{1}); err != nil {
		return fmt.Errorf("release lifeline: %w", err)
	}
	return nil
}

// Close ends all children that watch.
func (l *Line) Close() error {
	werr := l.write.Close()
	if err := l.read.Close(); err != nil {
		return err
	}
	return werr
}

// Watch calls gone, once and on a goroutine of its own, when the parent that
// gave this process a line is gone. Without a line it does nothing. The
// variable is removed, so that children of this process do not take the number
// for one of theirs. gone usually ends the process.
func Watch(gone func()) error {
	value, ok := os.LookupEnv(EnvFD)
	if !ok {
		return nil
	}
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return fmt.Errorf("%s=%q: want the number of an open file, 3 or more", EnvFD, value)
	}
	if err := os.Unsetenv(EnvFD); err != nil {
		return fmt.Errorf("watch lifeline: %w", err)
	}
	closeOnExec(fd)
	go func() {
		line := os.NewFile(uintptr(fd), "lifeline")
		defer line.Close()
		// A byte is the parent's Release; whatever else ends the read, it is gone.
		if n, _ := line.Read(make([]byte, 1)); n == 0 {
			gone()
		}
	}()
	return nil
}
