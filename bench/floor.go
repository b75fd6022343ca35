package bench

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"time"
)

// floor is what the memory of the machine allows at the moment: random changes of a
// plain array with as many slots of a cache line as there are keys. It knows where
// each slot lies, compares no key and logs nothing.
type floor struct {
	slots []([8]uint64)
	rand  *rand.Rand
	where []uint64 // of a block of changes, drawn beforehand
	cpu   []float64
}

func newFloor(keys int64) *floor {
	f := &floor{slots: make([][8]uint64, keys), rand: rand.New(rand.NewPCG(1, 1)), where: make([]uint64, blockBatches*batchRows)}
	for i := range f.slots {
		f.slots[i][0] = uint64(i)
	}
	return f
}

// turn changes slots for d and notes the CPU time of the thread for each change, in ns.
func (f *floor) turn(d time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var cpu time.Duration
	n := 0
	for begin := time.Now(); n == 0 || time.Since(begin) < d; n += len(f.where) {
		for i := range f.where {
			f.where[i], _ = bits.Mul64(f.rand.Uint64(), uint64(len(f.slots)))
		}
		before := threadCPU()
		for _, i := range f.where {
			s := &f.slots[i]
			s[0]++
			s[1] += i
		}
		cpu += threadCPU() - before
	}
	f.cpu = append(f.cpu, float64(cpu)/float64(n))
}
