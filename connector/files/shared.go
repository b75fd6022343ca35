package files

import "sync"

// shared is what the readers of one source in one process have together:
// decoded row groups, since splits with a stride need the same ones at about
// the same time, and the schedules of replayed files.
type shared[T any] struct {
	mu      sync.Mutex
	readers int
	blocks  map[blockKey]*block[T]
	order   []blockKey // oldest first

	planning  sync.Mutex // held for a whole pass over a file
	schedules map[string]*schedule
}

type blockKey struct {
	file  string
	group int
}

// block is decoded rows, or the attempt to get them.
type block[T any] struct {
	done chan struct{} // closed when rows and err are set
	rows []T
	err  error
}

// blocksKept bounds the decoded row groups that are kept for other readers.
// The splits of a file are rarely further apart than one group.
const blocksKept = 3

// block returns the rows of a row group, which nobody changes. One reader
// decodes them, with its own file, while others wait.
func (s *shared[T]) block(key blockKey, decode func() ([]T, error)) ([]T, error) {
	b, mine := s.claim(key)
	if mine {
		b.rows, b.err = decode()
		if b.err != nil {
			s.drop(key, b)
		}
		close(b.done)
		return b.rows, b.err
	}
	<-b.done
	if b.err != nil {
		return decode() // the other's error may be only its own: its context has ended
	}
	return b.rows, nil
}

// claim returns the block of a key; mine if the caller must decode it.
func (s *shared[T]) claim(key blockKey) (b *block[T], mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.blocks[key]; ok {
		return b, false
	}
	if s.blocks == nil {
		s.blocks = map[blockKey]*block[T]{}
	}
	if len(s.order) == blocksKept {
		delete(s.blocks, s.order[0])
		s.order = append(s.order[:0], s.order[1:]...)
	}
	b = &block[T]{done: make(chan struct{})}
	s.blocks[key], s.order = b, append(s.order, key)
	return b, true
}

// drop forgets a block that could not be decoded.
func (s *shared[T]) drop(key blockKey, b *block[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocks[key] != b {
		return
	}
	delete(s.blocks, key)
	for i, k := range s.order {
		if k == key {
			s.order = append(s.order[:i], s.order[i+1:]...)
			return
		}
	}
}

// retain and release count the readers; the last one frees the blocks.
func (s *shared[T]) retain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers++
}

func (s *shared[T]) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers--; s.readers == 0 {
		s.blocks, s.order = nil, nil
	}
}

// schedule returns a file's schedule, and keeps it for the next attempt. One
// reader at a time computes one.
func (s *Source[T]) schedule(f *file, d splitData) (*schedule, error) {
	s.shared.planning.Lock()
	defer s.shared.planning.Unlock()
	if sched, ok := s.shared.schedules[d.String()]; ok {
		return sched, nil
	}
	sched, err := s.plan(f, d)
	if err != nil {
		return nil, err
	}
	if s.shared.schedules == nil {
		s.shared.schedules = map[string]*schedule{}
	}
	s.shared.schedules[d.String()] = sched
	return sched, nil
}
