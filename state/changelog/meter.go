package changelog

import (
	"sync"
	"time"
)

// meter counts a restore's bytes and tells of them.
type meter struct {
	tell  func(Progress)
	total int64 // set before start
	began time.Time

	mu            sync.Mutex
	local, remote int64
}

func (m *meter) start() {
	m.began = time.Now()
	m.add(0, false)
}

// add counts bytes that are done.
func (m *meter) add(n int64, local bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if local {
		m.local += n
	} else {
		m.remote += n
	}
	if m.tell != nil && m.total > 0 {
		m.tell(m.nowLocked())
	}
}

func (m *meter) now() Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nowLocked()
}

func (m *meter) nowLocked() Progress {
	p := Progress{Done: m.local + m.remote, Total: m.total, Local: m.local, Remote: m.remote, Left: -1}
	if p.Done > 0 {
		took := float64(time.Since(m.began))
		p.Left = time.Duration(took / float64(p.Done) * float64(p.Total-p.Done))
	}
	return p
}
