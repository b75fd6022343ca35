package engine

import (
	"sync"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

// keyedStore is an operator's store in a subtask. It remembers which states are
// in it, so that a checkpoint can be read without the program.
type keyedStore struct {
	state.Store
	loader interface { // the same, as a restore sees it
		state.Store
		changelog.Loader
	}
	backend   string
	keySchema string

	mu     sync.Mutex
	states []snapshot.State // by handle
	closed bool
}

// Register names a state; see state.Store.
func (s *keyedStore) Register(d state.Definition) (state.Handle, error) {
	h, err := s.Store.Register(d)
	if err == nil {
		s.record(h, snapshot.State{Name: d.Name, Kind: d.Kind, Schema: d.Schema, TTL: d.TTL})
	}
	return h, err
}

// Unwrap returns the store itself, for handles that want no step in between.
func (s *keyedStore) Unwrap() state.Store { return s.Store }

// Close closes the store, once.
func (s *keyedStore) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	return s.Store.Close()
}

func (s *keyedStore) record(h state.Handle, st snapshot.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for int(h) >= len(s.states) {
		s.states = append(s.states, snapshot.State{})
	}
	s.states[h] = st
}

// describe fills in what a checkpoint says of the store.
func (s *keyedStore) describe(k *snapshot.Keyed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k.Backend, k.KeySchema = s.backend, s.keySchema
	k.States = append([]snapshot.State(nil), s.states...)
}

// forProgram returns what the operator's code gets: a state.Prefetcher only if
// the store is one.
func (s *keyedStore) forProgram() state.Store {
	if p, ok := s.Store.(state.Prefetcher); ok {
		return prefetchingStore{s, p}
	}
	return s
}

// prefetchingStore is a keyedStore in which a miss is dear.
type prefetchingStore struct {
	*keyedStore
	misses state.Prefetcher
}

// Ahead implements state.Prefetcher.
func (s prefetchingStore) Ahead() bool { return s.misses.Ahead() }

// Prefetch implements state.Prefetcher.
func (s prefetchingStore) Prefetch(wanted []state.Wanted) error { return s.misses.Prefetch(wanted) }

// recordingLog hears of the states that a restore brings.
type recordingLog struct {
	*changelog.Log
	store *keyedStore
}

// Define implements state.Log.
func (l recordingLog) Define(h state.Handle, d state.Definition) {
	l.store.record(h, snapshot.State{Name: d.Name, Kind: d.Kind, Schema: d.Schema, TTL: d.TTL})
	l.Log.Define(h, d)
}
