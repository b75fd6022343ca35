package bench

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// threadCPU is the CPU time of the calling thread. The caller has locked it.
func threadCPU() time.Duration { return usage(syscall.RUSAGE_THREAD) }

// residentBytes is the memory that the process has in use, by the kernel's books.
func residentBytes() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
