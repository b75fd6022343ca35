//go:build unix

package bench

import (
	"syscall"
	"time"
)

// processCPU is the CPU time of the process.
func processCPU() time.Duration { return usage(syscall.RUSAGE_SELF) }

// usage is the CPU time in user and system mode. getrusage can not fail for who
// its callers ask.
func usage(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
