package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// collectTurns is how often a state is filled and dropped again.
const collectTurns = 3

// collections measures what a garbage collection costs with a large state in the
// memory backend, and without. The caches of the other are the same tables.
func (r *runner) collections(ctx context.Context) error {
	keys := int64(keysLarge)
	if r.cfg.Quick {
		keys = keysQuick
	}
	res := r.result("gc", dataflow.BackendMemory, formatCount(keys), fmt.Sprintf("CPU time of the process in a forced garbage collection, with %s entries"+
		" of 8-byte keys and 32-byte values, and without, in %d turns: medians", formatCount(keys), collectTurns))
	var with, without []time.Duration
	for range collectTurns {
		without = append(without, collection(), collection())
		took, err := r.collectWith(ctx, keys)
		if err != nil {
			return err
		}
		with = append(with, took...)
	}
	res.ms("gc_cpu_with_state", median(with))
	res.ms("gc_cpu_without", median(without))
	r.report.atMost("garbage collection over "+formatCount(keys)+" entries", median(with).Seconds()*1e3, 20, "ms")
	return nil
}

// collectWith measures two collections while a state lives.
func (r *runner) collectWith(ctx context.Context, keys int64) (took []time.Duration, err error) {
	p, err := r.newProcess(ctx, setup{backend: dataflow.BackendMemory, tasks: 1, keys: keys, value: aggregateSize})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.discard(ctx)) }()
	if err := p.fill(ctx); err != nil {
		return nil, err
	}
	runtime.GC() // sweeps what filling left
	took = []time.Duration{collection(), collection()}
	runtime.KeepAlive(p)
	return took, nil
}

// collection is the CPU time that a forced collection costs the process.
func collection() time.Duration {
	before := processCPU()
	runtime.GC()
	return processCPU() - before
}

// footprints measures the memory that entries take.
func (r *runner) footprints(ctx context.Context) error {
	for _, backend := range r.cfg.Backends {
		for _, keys := range r.keyCounts(backend) {
			if err := r.footprint(ctx, backend, keys); err != nil {
				return fmt.Errorf("%s: %w", backend, err)
			}
		}
	}
	return nil
}

func (r *runner) footprint(ctx context.Context, backend string, keys int64) (err error) {
	res := r.result("memory", backend, formatCount(keys), fmt.Sprintf("memory that %s entries of 40 bytes (8-byte keys, 32-byte values) add"+
		" to the process, by the kernel and by the Go heap, after a garbage collection", formatCount(keys)))
	resident, heap := inUse()
	p, err := r.newProcess(ctx, setup{backend: backend, tasks: 1, keys: keys, value: aggregateSize})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.discard(ctx)) }()
	if err := p.fill(ctx); err != nil {
		return err
	}
	residentFull, heapFull := inUse()
	entries, bytes := p.tasks[0].store.Size()
	res.add("resident_per_entry", float64(residentFull-resident)/float64(entries), "bytes")
	res.add("heap_per_entry", float64(heapFull-heap)/float64(entries), "bytes")
	res.add("live_per_entry", float64(bytes)/float64(entries), "bytes")
	res.add("resident", float64(residentFull-resident), "bytes")
	return nil
}

// inUse is what the process has in use, by the kernel's books and on the Go heap.
func inUse() (resident, heap int64) {
	debug.FreeOSMemory() // collects too
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return residentBytes(), int64(m.HeapAlloc)
}
