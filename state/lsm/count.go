package lsm

import (
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// size counts the live entries and their bytes.
type size struct {
	entries, bytes int64
	count          *count // under way, or nil
}

func (s *size) add(entries, bytes int64) {
	s.entries += entries
	s.bytes += bytes
}

// count counts the entries in Pebble as of one moment, while the store goes on. What
// the store had guessed then is replaced by it.
type count struct {
	guessedEntries, guessedBytes int64

	stopped atomic.Bool
	ended   chan struct{} // closed when what follows is final
	entries int64
	bytes   int64
	err     error
}

// recount starts to count what is in db; the tables hold nothing else now.
func (s *size) recount(db *pebble.DB) error {
	s.stop()
	it, err := db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("count entries: %w", err)
	}
	c := &count{guessedEntries: s.entries, guessedBytes: s.bytes, ended: make(chan struct{})}
	s.count = c
	go c.run(it)
	return nil
}

func (c *count) run(it *pebble.Iterator) {
	defer close(c.ended)
	for ok := it.First(); ok && !c.stopped.Load(); ok = it.Next() {
		_, _, key, sub, err := splitKey(it.Key())
		if err != nil {
			c.err = err
			break
		}
		c.entries++
		c.bytes += int64(len(key) + len(sub) + valueLen(it))
	}
	if err := it.Close(); err != nil && c.err == nil {
		c.err = err
	}
}

// valueLen is the length of the value, which is not read if it is stored apart.
func valueLen(it *pebble.Iterator) int {
	v := it.LazyValue()
	return v.Len()
}

// now returns the size as well as it is known; exact is false while it is counted.
func (s *size) now() (entries, bytes int64, exact bool) {
	if s.count != nil {
		select {
		case <-s.count.ended:
			if s.count.err == nil { // else Count tells
				s.take()
			}
		default:
		}
	}
	return s.entries, s.bytes, s.count == nil
}

// take puts a finished count in the guess's place.
func (s *size) take() {
	c := s.count
	s.count = nil
	s.entries += c.entries - c.guessedEntries
	s.bytes += c.bytes - c.guessedBytes
}

// wait waits until the size is known.
func (s *size) wait() error {
	if s.count == nil {
		return nil
	}
	<-s.count.ended
	if err := s.count.err; err != nil {
		return fmt.Errorf("count entries: %w", err)
	}
	return nil
}

// stop gives up counting.
func (s *size) stop() {
	if s.count != nil {
		s.count.stopped.Store(true)
		<-s.count.ended
		s.count = nil
	}
}
