//go:build unix && !linux

package bench

import "time"

var started = time.Now()

// threadCPU stands in for the CPU time of a thread, which this system does not tell.
func threadCPU() time.Duration { return time.Since(started) }

// residentBytes is not known here.
func residentBytes() int64 { return 0 }
