package streamtest

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// bubble is a goroutine in a bubble of testing/synctest, where time is virtual. It does
// what do hands it.
//
// Invariant: while do waits for nothing, the bubble's own goroutine waits on a channel from
// outside. That is no wait in the sense of synctest, so that virtual time stands still
// between two steps.
type bubble struct {
	work  chan func()
	ended chan struct{}
	stuck bool
}

// restMax is how long, of real time, a step may take. A step takes milliseconds; one that
// takes so long never ends.
const restMax = time.Minute

func newBubble(t *testing.T) *bubble {
	b := &bubble{work: make(chan func()), ended: make(chan struct{})}
	begun := make(chan struct{}) // no bubble can begin once the test ends
	go func() {
		defer close(b.ended)
		synctest.Test(t, func(*testing.T) {
			close(begun)
			for f := range b.work {
				f()
			}
		})
	}()
	<-begun
	return b
}

// do runs f in the bubble and waits until every other goroutine of it waits too. Its error
// is f's, a panic of f, or that the bubble does not come to rest.
func (b *bubble) do(f func() error) error {
	if b.stuck {
		return errStuck
	}
	done := make(chan error, 1)
	b.work <- func() {
		err := guard(f)
		synctest.Wait()
		done <- err
	}
	select {
	case err := <-done:
		return err
	case <-time.After(restMax):
		b.stuck = true
		return fmt.Errorf("%w after %v: something in it waits for a network, a device or a lock, or works without end\n%s", errStuck, restMax, stacks())
	}
}

// close ends the bubble. Whatever was started in it has ended, or it is stuck, and then
// nobody waits for it.
func (b *bubble) close() {
	if !b.stuck {
		close(b.work)
		<-b.ended
	}
}

func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// stacks are those of all goroutines, so that the one that does not rest can be found.
func stacks() []byte {
	buf := make([]byte, 1<<20)
	return bytes.TrimSpace(buf[:runtime.Stack(buf, true)])
}
