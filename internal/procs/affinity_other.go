//go:build !linux

package procs

import "errors"

var errNoAffinity = errors.New("cores can be given to processes on Linux only")

func onCPUs(cpus []int, start func() error) error {
	if len(cpus) > 0 {
		return errNoAffinity
	}
	return start()
}

// CPUs are the cores that this process may run on: not known on this system.
func CPUs() ([]int, error) { return nil, errNoAffinity }
