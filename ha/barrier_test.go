package ha

import (
	"sync"
	"testing"
	"testing/synctest"
)

// TestBarrierIsShared: callers that come while a barrier is under way share the
// next one, and none of them takes the one under way for its own.
func TestBarrierIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passes, release := 0, make(chan struct{})
		b := barriers{pass: func() error { passes++; <-release; return nil }}
		var wg sync.WaitGroup
		join := func() *barrierRound {
			round, lead := b.join()
			if lead {
				wg.Go(b.run)
			}
			synctest.Wait()
			return round
		}
		first := join()
		late := map[*barrierRound]bool{}
		for range 100 {
			late[join()] = true
		}
		if len(late) != 1 || late[first] || passes != 1 {
			t.Fatalf("100 callers wait for %d rounds (the first: %v), %d began", len(late), late[first], passes)
		}
		release <- struct{}{}
		<-first.done
		release <- struct{}{}
		for round := range late {
			<-round.done
		}
		wg.Wait()
		if passes != 2 || b.running || b.next != nil {
			t.Errorf("%d barriers, want 2; left over: running %v, next %v", passes, b.running, b.next)
		}
	})
}
