package bench

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	line := "7 (a b) c) S 5 7 7 0 -1 4194560 100 200 0 0 150 50 30 20 20 0 9 0 100 1000 25 18446744073709551615 1 1"
	want := processUsage{parent: 5, cpu: 250 * tick, resident: 25 * int64(os.Getpagesize())}
	if got, ok := parseStat([]byte(line)); !ok || got != want {
		t.Errorf("%+v, %v, want %+v", got, ok, want)
	}
	for _, line := range []string{"", "7 (a) S 5", "7 (a) S x 7 7 0 -1 4194560 100 200 0 0 150 50 30 20 20 0 9 0 100 1000 25"} {
		if got, ok := parseStat([]byte(line)); ok {
			t.Errorf("%q is %+v", line, got)
		}
	}
}

// TestUsageOfThisProcess: what /proc says is what getrusage says, in its units.
func TestUsageOfThisProcess(t *testing.T) {
	for begin := processCPU(); processCPU()-begin < 5*tick; {
	}
	before := processCPU()
	cpu, resident := usageOf([]int{os.Getpid()})
	if cpu < before-2*tick || cpu > processCPU()+2*tick+time.Second {
		t.Errorf("CPU time %v, getrusage says %v", cpu, before)
	}
	if resident < 1<<20 {
		t.Errorf("%d bytes in use", resident)
	}
}
