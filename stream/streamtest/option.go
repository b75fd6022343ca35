package streamtest

import (
	"fmt"
	"testing"
)

// Option is a choice about how a job is run in a test.
type Option func(*settings)

type settings struct {
	parallelism int
	processes   int
	restarts    int   // after each step
	rescales    []int // parallelisms to restart with, in turn
}

// Parallelism is the number of subtasks of the operators that do not choose their own,
// whatever the job says: as a submit gives it.
func Parallelism(n int) Option { return func(s *settings) { s.parallelism = n } }

// Processes spreads the subtasks over n processes' shares, so that records between them
// are encoded and decoded. Default 1.
func Processes(n int) Option { return func(s *settings) { s.processes = n } }

// RestartEverywhere restarts the job after every step, as Restart does.
func RestartEverywhere() Option { return func(s *settings) { s.restarts = 1 } }

// RescaleEverywhere is RestartEverywhere with one parallelism after the other.
func RescaleEverywhere(parallelisms ...int) Option {
	return func(s *settings) { s.restarts, s.rescales = 1, parallelisms }
}

// EveryWay runs a test several times, as subtests: as the job is, with a restart after every
// step, with 3 subtasks on 2 processes, and with another parallelism after every step. The
// test gives way to New. Outputs of jobs that compare the order of records across keys
// differ with several subtasks: use WantInAnyOrder.
func EveryWay(t *testing.T, test func(t *testing.T, way Option)) {
	ways := []struct {
		name string
		way  Option
	}{
		{"as it is", func(*settings) {}},
		{"restarted", RestartEverywhere()},
		{"parallel", both(Parallelism(3), Processes(2))},
		{"rescaled", both(RescaleEverywhere(2, 3, 1), Processes(2))},
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { test(t, w.way) })
	}
}

func both(a, b Option) Option {
	return func(s *settings) { a(s); b(s) }
}

// rescale sets the parallelism of the next restart.
func (s *settings) rescale(step int) {
	if len(s.rescales) > 0 {
		s.parallelism = s.rescales[step%len(s.rescales)]
	}
}

// check reports options that make no sense.
func (s *settings) check() error {
	if s.parallelism < 0 {
		return fmt.Errorf("parallelism %d: use 1 or more", s.parallelism)
	}
	if s.processes < 0 {
		return fmt.Errorf("processes %d: use 1 or more", s.processes)
	}
	for _, n := range s.rescales {
		if n < 1 {
			return fmt.Errorf("rescale to %d: use 1 or more", n)
		}
	}
	return nil
}
