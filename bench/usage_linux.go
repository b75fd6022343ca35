package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc: 100 in a second on every platform of Linux
// that Go knows.
const tick = time.Second / 100

// usageOf is what processes, with all their descendants, have used so far: the CPU
// time of the living and of the dead that were waited for, and the memory in use now.
// What ends while it looks may be missing.
func usageOf(pids []int) (cpu time.Duration, resident int64) {
	all := readProcesses()
	children := map[int][]int{}
	for pid, p := range all {
		children[p.parent] = append(children[p.parent], pid)
	}
	for len(pids) > 0 {
		pid := pids[len(pids)-1]
		pids = append(pids[:len(pids)-1:len(pids)-1], children[pid]...)
		cpu += all[pid].cpu
		resident += all[pid].resident
	}
	return cpu, resident
}

type processUsage struct {
	parent   int
	cpu      time.Duration
	resident int64
}

func readProcesses() map[int]processUsage {
	all := map[int]processUsage{}
	names, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if p, ok := parseStat(data); ok && err == nil {
			all[pid] = p
		}
	}
	return all
}

// The fields of /proc/PID/stat after the name of the program, counted from the state.
const (
	statParent   = 1
	statUser     = 11 // then system, and both of the children that were waited for
	statResident = 21
	statLeast    = statResident + 1
)

// parseStat reads the content of /proc/PID/stat; see proc(5). The name of the program
// may hold anything.
func parseStat(data []byte) (p processUsage, ok bool) {
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < statLeast {
		return p, false
	}
	number := func(i int) int64 {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		ok = ok && err == nil
		return n
	}
	ok = true
	p.parent = int(number(statParent))
	for i := range 4 {
		p.cpu += time.Duration(number(statUser+i)) * tick
	}
	p.resident = number(statResident) * int64(os.Getpagesize())
	return p, ok
}
