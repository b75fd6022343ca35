package changelog

import (
	"encoding/binary"
	"fmt"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// frame is a decoded segment.
type frame struct {
	content content
	from    uint64 // position before the first entry
	entries uint64
	defs    []definition
	body    []byte // what follows the definitions
}

// decodeSegment decodes what a Ref refers to. The caller has checked the sum. The
// frame's body may lie in b.
func decodeSegment(b []byte) (frame, error) { return decodeInto(nil, b) }

// decodeInto is decodeSegment with memory for the body, which is used if it is
// large enough.
func decodeInto(buf, b []byte) (frame, error) {
	r := reader{src: b}
	flags := r.byte()
	f := frame{content: content(flags >> contentShift), from: r.uvarint(), entries: r.uvarint()}
	size := r.uvarint()
	if r.bad || flags > byte(flagsMax) {
		return frame{}, fmt.Errorf("segment header: %w", state.ErrCorrupt)
	}
	body, err := decompress(compression(flags&compressionMask), r.src, buf, size)
	if err != nil {
		return frame{}, fmt.Errorf("segment body: %w: %w", state.ErrCorrupt, err)
	}
	if f.body = body; f.content == contentFile || f.content == contentInFlight {
		return f, nil
	}
	r.src = body
	f.defs = make([]definition, r.count(4))
	for i := range f.defs {
		f.defs[i] = definition{state.Handle(r.uvarint()), r.string(), r.string(), r.string()}
	}
	if f.body = r.src; r.bad {
		return frame{}, fmt.Errorf("segment definitions: %w", state.ErrCorrupt)
	}
	return f, nil
}

// readBlocks calls f for each of the blocks in the body of a contentRecords.
func readBlocks(body []byte, f func(block []byte) error) error {
	r := reader{src: body}
	for len(r.src) > 0 {
		block := r.bytes()
		if r.bad {
			return fmt.Errorf("blocks of records: %w", state.ErrCorrupt)
		}
		if err := f(block); err != nil {
			return err
		}
	}
	return nil
}

// Indexed is a segment as an object's own index describes it.
type Indexed struct {
	Log     string // the log's name
	Segment snapshot.Segment
}

// ReadIndex returns the index of a whole object, after checking the object's
// frame, the index's checksum and every segment's. It is for tools that rebuild
// or check a bucket; a restore goes by the metadata.
func ReadIndex(key string, object []byte) ([]Indexed, error) {
	index, err := readIndex(key, object)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w: %w", key, objectstore.ErrCorrupt, err)
	}
	return index, nil
}

func readIndex(key string, object []byte) ([]Indexed, error) {
	raw, from, err := findIndex(object)
	if err != nil {
		return nil, err
	}
	r := reader{src: raw}
	index := make([]Indexed, r.count(10))
	next := int64(len(magic))
	for i := range index {
		index[i] = r.indexed(key)
		if ref := index[i].Segment.Ref; !r.bad {
			if err := checkRef(object[:from], ref); err != nil {
				return nil, err
			}
			if ref.Offset != next {
				return nil, fmt.Errorf("segment at %d: want it at %d", ref.Offset, next)
			}
			next += ref.Length
		}
	}
	if r.bad || len(r.src) != 0 || next != int64(from) {
		return nil, fmt.Errorf("the index does not decode")
	}
	return index, nil
}

// findIndex checks the object's frame and returns the index's bytes and where they
// begin.
func findIndex(object []byte) (raw []byte, from uint64, err error) {
	end := len(object) - trailerSize
	if end < len(magic) || string(object[:len(magic)]) != magic || string(object[len(object)-len(magic):]) != magic {
		return nil, 0, fmt.Errorf("no changelog object of version %d", magic[len(magic)-1])
	}
	from = binary.LittleEndian.Uint64(object[end:])
	length := binary.LittleEndian.Uint32(object[end+8:])
	if from > uint64(end) || uint64(length) != uint64(end)-from {
		return nil, 0, fmt.Errorf("trailer places the index at %d, %d bytes", from, length)
	}
	raw = object[from:end]
	if objectstore.CRC32C(raw) != binary.LittleEndian.Uint32(object[end+12:]) {
		return nil, 0, fmt.Errorf("the index's checksum does not match")
	}
	return raw, from, nil
}

// checkRef checks the sum of a segment.
func checkRef(object []byte, ref objectstore.Ref) error {
	if ref.Offset < 0 || ref.Length < 0 || ref.Offset > int64(len(object)) || ref.Length > int64(len(object))-ref.Offset {
		return fmt.Errorf("segment at %d, %d bytes: outside of the object", ref.Offset, ref.Length)
	}
	if objectstore.CRC32C(object[ref.Offset:ref.Offset+ref.Length]) != ref.CRC32C {
		return fmt.Errorf("segment at %d: checksum does not match", ref.Offset)
	}
	return nil
}

// reader takes fields off the front of src until one is bad; then all are zero.
type reader struct {
	src []byte
	bad bool
}

func (r *reader) fail() {
	r.src, r.bad = nil, true
}

func (r *reader) byte() byte {
	if len(r.src) == 0 {
		r.fail()
		return 0
	}
	b := r.src[0]
	r.src = r.src[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.src)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.src = r.src[n:]
	return v
}

// count reads a number of things that take at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.src)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) bytes() []byte {
	n := r.count(1)
	b := r.src[:n:n]
	r.src = r.src[n:]
	return b
}

func (r *reader) string() string { return string(r.bytes()) }

func (r *reader) indexed(key string) Indexed {
	in := Indexed{Log: r.string()}
	s := &in.Segment
	flags := r.uvarint()
	if flags > uint64(flagsMax) {
		r.fail()
	}
	c := content(flags >> contentShift)
	s.Base = c != contentChanges && c != contentInFlight
	switch c {
	case contentFile:
		s.Kind = snapshot.SegmentFile
	case contentInFlight:
		s.Kind = snapshot.SegmentInFlight
	}
	s.From, s.To = r.uvarint(), r.uvarint()
	s.GroupLo, s.GroupHi = int(r.uvarint()), int(r.uvarint())
	s.Name = r.string()
	s.Ref = objectstore.Ref{
		Key: key, Offset: int64(r.uvarint()), Length: int64(r.uvarint()), CRC32C: uint32(r.uvarint()),
	}
	return in
}
