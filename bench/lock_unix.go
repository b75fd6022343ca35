//go:build unix

package bench

import (
	"os"
	"syscall"
)

// lockFile locks f for this process, or fails at once. The lock ends with f.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
