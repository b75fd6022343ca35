package streamtest

import (
	"errors"
	"fmt"
	"testing/synctest"

	"github.com/cairnstream/cairn/engine"
)

// step does f in the bubble, with the job running, and waits until the job has nothing
// left to do.
func (j *Job) step(name string, f func() error) {
	j.t.Helper()
	j.steps++
	err := j.bubble.do(func() error { return j.inStep(f) })
	if err == nil {
		return
	}
	if j.failure == nil && !errors.Is(err, errOver) {
		j.failure = err
	}
	if !j.expected {
		j.t.Fatalf("step %d, %s: %s", j.steps, name, describe(err))
	}
}

func (j *Job) inStep(f func() error) error {
	if j.over {
		return errOver
	}
	if j.running == nil {
		if err := j.start(); err != nil {
			return err
		}
	}
	err := f()
	if err == nil {
		err = j.rest()
	}
	for i := 0; err == nil && !j.over && i < j.set.restarts; i++ {
		j.set.rescale(j.steps)
		err = j.restart()
	}
	return err
}

// rest waits until the job has nothing left to do, and tells why it has failed if it has.
func (j *Job) rest() error {
	synctest.Wait()
	if j.running == nil {
		return nil
	}
	for j.running.pass() {
		synctest.Wait()
	}
	if err := j.running.ended(); err != nil {
		j.over, j.running = true, nil
		return err
	}
	return nil
}

// close ends the job with the test.
func (j *Job) close() {
	j.t.Helper()
	err := j.bubble.do(func() error {
		if j.running != nil {
			j.running.stop()
			j.running = nil
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStuck) {
		j.t.Errorf("end the job: %v", err)
	}
	j.bubble.close()
}

// describe is an error with the stack of the panic behind it, if there is one.
func describe(err error) string {
	if p := (*engine.PanicError)(nil); errors.As(err, &p) {
		return fmt.Sprintf("%v\n%s", err, p.Stack)
	}
	return err.Error()
}
