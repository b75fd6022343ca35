package procs

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cairnstream/cairn/internal/lifeline"
)

// Process is a daemon that is started, killed and started again. The exported
// fields are set before the first Start and not changed. All methods may be
// called at once.
type Process struct {
	Name string // c1, w2
	Path string // the executable
	Args []string
	Env  []string // in addition to this process's
	Log  string   // file that output is appended to
	CPUs []int    // cores that it and its children may use; none: all

	mu     sync.Mutex
	cmd    *exec.Cmd      // nil while it is down
	line   *lifeline.Line // the child ends when it closes, if it watches
	exited chan struct{}  // closed when cmd has been waited for
}

// Start starts the process in a group of its own.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer log.Close() // the child has its own
	line, err := lifeline.NewLine()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	line.Attach(cmd)
	lifeline.Own(cmd)
	if err := onCPUs(p.CPUs, cmd.Start); err != nil {
		line.Close()
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.cmd, p.line, p.exited = cmd, line, make(chan struct{})
	go func(exited chan struct{}) {
		defer close(exited)
		cmd.Wait() // how it ended is for its log to say
	}(p.exited)
	return nil
}

// PID is the process's id, or 0 while it is down.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Kill sends SIGKILL to this process alone, not to its group (an agent's
// children have to notice by themselves), and waits until it is gone. It returns
// the moment of the signal.
func (p *Process) Kill() (at time.Time, pid int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return time.Time{}, 0, fmt.Errorf("kill %s: it is not running", p.Name)
	}
	pid = p.cmd.Process.Pid
	at = time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return time.Time{}, 0, fmt.Errorf("kill %s: %w", p.Name, err)
	}
	<-p.exited
	p.cmd = nil
	return at, pid, p.line.Close()
}

// Stop asks the process to end, and ends it if it does not within grace.
func (p *Process) Stop(grace time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !p.hasExitedLocked() {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	select {
	case <-p.exited:
	case <-time.After(grace):
		if err := p.cmd.Process.Kill(); err != nil && !p.hasExitedLocked() {
			return fmt.Errorf("stop %s: %w", p.Name, err)
		}
		<-p.exited
	}
	p.cmd = nil
	return p.line.Close()
}

func (p *Process) hasExitedLocked() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Release lets the process outlive this one.
func (p *Process) Release() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	return p.line.Release()
}

// Gone is closed when the process that runs now has ended; nil while it is down.
func (p *Process) Gone() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	return p.exited
}

// LastWords are the last n lines of the process's log.
func (p *Process) LastWords(n int) string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
