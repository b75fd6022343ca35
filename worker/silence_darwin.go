package worker

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// limitSilence makes the kernel give up a connection on which sent bytes stay
// unacknowledged for deadAfter.
func limitSilence(_, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RXT_CONNDROPTIME, int(deadAfter.Seconds()))
	})
	return errors.Join(err, set)
}
