// Package heap keeps the garbage collector from running all the time in a process with
// little on its heap.
//
// Go collects when the heap has doubled. A job without much state has a few megabytes of
// batches and buffers on it, and makes hundreds of megabytes of short-lived records in a
// second: it would be collected every few milliseconds, which is a fifth of
// its CPU time.
package heap

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
)

// Least is a good size for the heap of a job's process to grow to before it is collected: little for a machine
// that runs stateful jobs, and enough for a collection to be rare.
const Least = 96 << 20

// ballast is what Floor holds. Nobody looks into it.
var ballast atomic.Pointer[[]byte]

// Floor lets the heap grow to about least bytes before the first collection, and by
// as much more before each. It takes addresses and no memory: what it allocates is never
// touched. Where GOGC or a memory limit is set it does nothing: somebody has
// decided otherwise. It is called once, early, before memory is used a second time.
func Floor(least int) {
	if os.Getenv("GOGC") != "" || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	b := make([]byte, least/2) // the collector waits until the heap is twice what lives
	ballast.Store(&b)
	runtime.KeepAlive(b)
}
