package lifeline

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
)

// ErrClosed is returned by Start when the spawner has ended.
var ErrClosed = errors.New("spawner closed")

// Spawner starts processes that the kernel kills when this process dies, where
// the kernel can do that. All methods may be called at once.
type Spawner struct {
	requests chan request
	stopped  chan struct{}
}

type request struct {
	cmd  *exec.Cmd
	done chan error
}

// NewSpawner returns a spawner that works while its Run does.
func NewSpawner() *Spawner {
	return &Spawner{requests: make(chan request), stopped: make(chan struct{})}
}

// Run serves Start until ctx ends.
//
// Linux sends the parent-death signal when the thread that started the child
// ends, not the process; Go ends threads as it likes. So one thread starts all
// children and is kept until Run returns. Run returns only when the caller is
// about to end the process: then the children go too.
func (s *Spawner) Run(ctx context.Context) error {
	defer close(s.stopped)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-s.requests:
			r.done <- r.cmd.Start()
		}
	}
}

// Start starts cmd in a process group of its own, to be killed with this
// process. The caller waits for cmd.
func (s *Spawner) Start(cmd *exec.Cmd) error {
	Own(cmd)
	dieWithParent(cmd)
	r := request{cmd: cmd, done: make(chan error, 1)}
	select {
	case s.requests <- r:
		return <-r.done
	case <-s.stopped:
		return ErrClosed
	}
}
