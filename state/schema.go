package state

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cairnstream/cairn/codec"
)

// Schema is a Definition's schema taken apart. Its text is
//
//	[sub {", " sub} " -> "] ["ttl "] value
//
// where sub and value are schemas of package codec: the sub-key is the encodings of
// the subs, one behind the other. The timers' is TimersSchema instead.
type Schema struct {
	Subs  []string
	Value string
	// TTL tells that a value begins with the time of its last use, 8 bytes: see Stamp.
	TTL bool
}

const (
	subSeparator   = ", "
	valueSeparator = " -> "
	ttlMark        = "ttl "
)

// ParseSchema takes a schema apart. Text that is none is codec.ErrSchema.
func ParseSchema(text string) (Schema, error) {
	var s Schema
	value := text
	if subs, v, ok := strings.Cut(text, valueSeparator); ok {
		s.Subs, value = strings.Split(subs, subSeparator), v
	}
	s.Value, s.TTL = strings.CutPrefix(value, ttlMark)
	for _, part := range append([]string{s.Value}, s.Subs...) {
		if _, err := codec.ParseSchema(part); err != nil {
			return Schema{}, fmt.Errorf("state schema %q: %w", text, err)
		}
	}
	return s, nil
}

// String is the schema's text.
func (s Schema) String() string {
	text := s.Value
	if s.TTL {
		text = ttlMark + text
	}
	if len(s.Subs) > 0 {
		text = strings.Join(s.Subs, subSeparator) + valueSeparator + text
	}
	return text
}

// stampSize is the length of the time in front of a value that has a TTL: eight
// bytes, so that the value behind it lies as before.
const stampSize = 8

// Stamp splits the value of a state with a TTL into the time of its last use, in
// Unix milliseconds, and the value proper. ok is false if it is too short.
func Stamp(value []byte) (at int64, rest []byte, ok bool) {
	if len(value) < stampSize {
		return 0, nil, false
	}
	return int64(binary.LittleEndian.Uint64(value)), value[stampSize:], true
}

func putStamp(value []byte, at int64) { binary.LittleEndian.PutUint64(value, uint64(at)) }
