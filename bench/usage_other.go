//go:build unix && !linux

package bench

import (
	"syscall"
	"time"
)

// usageOf is the CPU time of this process's children that have ended: what others use
// is not known here before they end.
func usageOf([]int) (cpu time.Duration, resident int64) { return usage(syscall.RUSAGE_CHILDREN), 0 }
