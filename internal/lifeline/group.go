//go:build unix

package lifeline

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
)

// Own gives cmd, not yet started, a process group of its own.
func Own(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

// KillGroup kills (SIGKILL) the process and all of its group. pid must be the
// leader of its group, as Own makes it. A group that is gone already is fine.
func KillGroup(pid int) error { return SignalGroup(pid, syscall.SIGKILL) }

// SignalGroup sends a signal to a whole group.
func SignalGroup(pid int, signal syscall.Signal) error {
	if pid <= 1 { // 0 and -1 would reach ourselves, or everybody
		return fmt.Errorf("signal process group %d: not a group of ours", pid)
	}
	if err := syscall.Kill(-pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal process group %d: %w", pid, err)
	}
	return nil
}

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }
