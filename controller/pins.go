package controller

import "sync"

// pins keeps artifacts that are about to be needed and artifacts that are
// being deleted apart: a submit pins its artifact from before it looks for it
// until the job, which then keeps it, is in Raft.
type pins struct {
	mu       sync.Mutex
	pinned   map[string]int
	deleting map[string]bool
}

// pin tells false if the artifact is being deleted at this moment.
func (p *pins) pin(sha256 string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deleting[sha256] {
		return false
	}
	if p.pinned == nil {
		p.pinned = map[string]int{}
	}
	p.pinned[sha256]++
	return true
}

func (p *pins) unpin(sha256 string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pinned[sha256]--; p.pinned[sha256] == 0 {
		delete(p.pinned, sha256)
	}
}

// beginDelete tells false if somebody is about to need the artifact.
func (p *pins) beginDelete(sha256 string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pinned[sha256] > 0 {
		return false
	}
	if p.deleting == nil {
		p.deleting = map[string]bool{}
	}
	p.deleting[sha256] = true
	return true
}

func (p *pins) endDelete(sha256 string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.deleting, sha256)
}
