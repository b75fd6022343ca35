package controller

import "sync"

// gate counts who is inside, and lets nobody in once it is shut. A WaitGroup
// alone can not refuse a late comer.
type gate struct {
	mu     sync.Mutex
	empty  sync.Cond
	inside int
	isShut bool
}

func newGate() *gate {
	g := &gate{}
	g.empty.L = &g.mu
	return g
}

// enter tells whether the caller is let in; then it must leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isShut {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.empty.Broadcast()
}

// goInside runs f in a goroutine that counts too. The caller is inside.
func (g *gate) goInside(f func()) {
	g.mu.Lock()
	g.inside++
	g.mu.Unlock()
	go func() {
		defer g.leave()
		f()
	}()
}

// shut lets nobody in any more and waits until all have left.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isShut = true
	for g.inside > 0 {
		g.empty.Wait()
	}
}
