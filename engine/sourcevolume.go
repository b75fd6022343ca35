package engine

import (
	"unsafe"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/connector"
)

// sampler estimates the bytes of what a source reads: as the records are encoded
// between subtasks, by one record of each read. Sources of all kinds are measured
// alike, and none has to count.
type sampler[T any] struct {
	codec   codec.Codec[T] // nil: T has none
	scratch []byte
}

func newSampler[T any]() sampler[T] {
	c, err := codec.For[T]()
	if err != nil { // its records never leave the process
		return sampler[T]{}
	}
	return sampler[T]{codec: c}
}

// bytes is about the size of all these values.
func (s *sampler[T]) bytes(values []T) int64 {
	if len(values) == 0 {
		return 0
	}
	n := int64(len(values))
	if s.codec == nil {
		return n * int64(unsafe.Sizeof(values[0]))
	}
	if size := s.codec.Size(); size >= 0 {
		return n * int64(size)
	}
	s.scratch = s.codec.Append(s.scratch[:0], &values[0])
	return n * int64(len(s.scratch))
}

// count notes what was read of a split.
func (n *sourceNode[T]) count(s *split[T]) {
	n.op.stats.read.Add(int64(len(n.recs.Values)))
	n.op.stats.readBytes.Add(n.sampler.bytes(n.recs.Values))
	b, ok := s.reader.(connector.Backlogger)
	n.backlog(s, ok && b.Backlog())
}

// backlog notes whether a split is read from a backlog.
func (n *sourceNode[T]) backlog(s *split[T], on bool) {
	switch {
	case on && !s.backlog:
		n.op.stats.backlogs.Add(1)
	case !on && s.backlog:
		n.op.stats.backlogs.Add(-1)
	}
	s.backlog = on
}
