package changelog

import "sync"

// memory is what one read needs: for its bytes, and for one decoded segment.
type memory struct {
	read, decoded []byte
}

// room returns n bytes for a read, which are anything; nil for a number that no read should have:
// the store says what is wrong with it.
func (m *memory) room(n int64) []byte {
	if n < 0 || n > readingBytes {
		return nil
	}
	if int64(cap(m.read)) < n {
		m.read = make([]byte, n)
	}
	return m.read[:n]
}

// spare keeps the memory of reads that are done for the next ones, for as long as a restore
// lasts: new memory would cost as much as reading from a disk that is near. What was used last is
// used next, since the caches have it.
//
// There is at most as much as reads under way may have: see readsMax and readingBytes.
type spare struct {
	mu    sync.Mutex
	free  []*memory
	bytes int // for reads, of those in free
}

func (s *spare) get() *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free)
	if n == 0 {
		return new(memory)
	}
	m := s.free[n-1]
	s.free = s.free[:n-1]
	s.bytes -= cap(m.read)
	return m
}

func (s *spare) put(m *memory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+cap(m.read) > readingBytes {
		m.read = nil
	}
	s.free = append(s.free, m)
	s.bytes += cap(m.read)
}
