package changelog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/klauspost/compress/s2"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// The layout of an object is drawn in docs/formats/changelog.md.

const (
	// magic begins and ends an object; its last byte is the version.
	magic = "CAIRNLG\x01"
	// trailerSize: index offset (8), index length (4), index CRC32C (4), magic.
	trailerSize = 24
	// compressed is the flag of a segment whose body is an s2 block.
	compressed = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// objectKey is the name of a process's object. The try is 0: uploads are not
// hedged.
func objectKey(prefix string, number uint64) string {
	return fmt.Sprintf("%s%012d.0", prefix, number)
}

// parseKey is the reverse of objectKey.
func parseKey(key string) (prefix string, number uint64, err error) {
	slash := strings.LastIndexByte(key, '/') + 1
	digits, try, _ := strings.Cut(key[slash:], ".")
	number, err = strconv.ParseUint(digits, 10, 64)
	if err != nil || len(digits) < 12 || try != "0" {
		return "", 0, fmt.Errorf("object %s: not the name of a changelog object", key)
	}
	return key[:slash], number, nil
}

// encode writes the object and sets the segments' Refs.
func (p *pack) encode() []byte {
	out := append(make([]byte, 0, p.raw/2+4096), magic...)
	for i := range p.parts {
		part := &p.parts[i]
		from := len(out)
		out = appendSegment(out, part)
		part.segment.Ref = objectstore.Ref{
			Key: p.key, Offset: int64(from), Length: int64(len(out) - from),
			CRC32C: crc32.Checksum(out[from:], castagnoli),
		}
		part.blocks = nil
	}
	index := len(out)
	out = appendIndex(out, p.parts)
	trailer := binary.LittleEndian.AppendUint64(nil, uint64(index))
	trailer = binary.LittleEndian.AppendUint32(trailer, uint32(len(out)-index))
	trailer = binary.LittleEndian.AppendUint32(trailer, crc32.Checksum(out[index:], castagnoli))
	return append(append(out, trailer...), magic...)
}

// appendSegment appends what a Ref refers to: flags, the position before the
// first entry, the number of entries, and the body, compressed if that helps.
func appendSegment(out []byte, p *part) []byte {
	entries, body := 0, appendDefinitions(nil, p.defs)
	for _, b := range p.blocks {
		body = append(body, b.data...)
		entries += b.entries
	}
	var flags byte
	if s2.MaxEncodedLen(len(body)) > 0 {
		if short := s2.Encode(nil, body); len(short) < len(body) {
			flags, body = compressed, short
		}
	}
	out = append(out, flags)
	out = binary.AppendUvarint(out, p.segment.From)
	out = binary.AppendUvarint(out, uint64(entries))
	return append(out, body...)
}

func appendDefinitions(out []byte, defs []definition) []byte {
	out = binary.AppendUvarint(out, uint64(len(defs)))
	for _, d := range defs {
		out = binary.AppendUvarint(out, uint64(d.handle))
		for _, s := range []string{d.name, d.kind, d.schema} {
			out = appendString(out, s)
		}
	}
	return out
}

func appendString(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

func appendIndex(out []byte, parts []part) []byte {
	out = binary.AppendUvarint(out, uint64(len(parts)))
	for i := range parts {
		s := parts[i].segment
		out = appendString(out, parts[i].log)
		var base uint64
		if s.Base {
			base = 1
		}
		for _, v := range []uint64{
			base, s.From, s.To, uint64(s.GroupLo), uint64(s.GroupHi),
			uint64(s.Ref.Offset), uint64(s.Ref.Length), uint64(s.Ref.CRC32C),
		} {
			out = binary.AppendUvarint(out, v)
		}
	}
	return out
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
	end := len(object) - trailerSize
	if end < len(magic) || string(object[:len(magic)]) != magic || string(object[len(object)-len(magic):]) != magic {
		return nil, fmt.Errorf("no changelog object of version %d", magic[len(magic)-1])
	}
	from := binary.LittleEndian.Uint64(object[end:])
	length := binary.LittleEndian.Uint32(object[end+8:])
	if from > uint64(end) || uint64(length) != uint64(end)-from {
		return nil, fmt.Errorf("trailer places the index at %d, %d bytes", from, length)
	}
	raw := object[from:end]
	if crc32.Checksum(raw, castagnoli) != binary.LittleEndian.Uint32(object[end+12:]) {
		return nil, fmt.Errorf("the index's checksum does not match")
	}
	r := reader{src: raw}
	index := make([]Indexed, r.count(9))
	for i := range index {
		index[i] = r.indexed(key)
		if ref := index[i].Segment.Ref; !r.bad {
			if err := checkRef(object[:from], ref); err != nil {
				return nil, err
			}
		}
	}
	if r.bad || len(r.src) != 0 {
		return nil, fmt.Errorf("the index does not decode")
	}
	return index, nil
}

func checkRef(object []byte, ref objectstore.Ref) error {
	if ref.Offset < 0 || ref.Length < 0 || ref.Offset > int64(len(object)) || ref.Length > int64(len(object))-ref.Offset {
		return fmt.Errorf("segment at %d, %d bytes: outside of the object", ref.Offset, ref.Length)
	}
	if crc32.Checksum(object[ref.Offset:ref.Offset+ref.Length], castagnoli) != ref.CRC32C {
		return fmt.Errorf("segment at %d: checksum does not match", ref.Offset)
	}
	return nil
}

// frame is a decoded segment.
type frame struct {
	from    uint64 // position before the first entry
	entries uint64
	defs    []definition
	body    []byte // the encoded entries
}

// decodeSegment decodes what a Ref refers to. The caller has checked the sum.
func decodeSegment(b []byte) (frame, error) {
	r := reader{src: b}
	flags := r.byte()
	f := frame{from: r.uvarint(), entries: r.uvarint()}
	if r.bad || flags > compressed {
		return frame{}, fmt.Errorf("segment header: %w", state.ErrCorrupt)
	}
	if flags == compressed {
		body, err := s2.Decode(nil, r.src)
		if err != nil {
			return frame{}, fmt.Errorf("segment body: %w: %w", state.ErrCorrupt, err)
		}
		r.src = body
	}
	f.defs = make([]definition, r.count(4))
	for i := range f.defs {
		f.defs[i] = definition{state.Handle(r.uvarint()), r.string(), r.string(), r.string()}
	}
	if f.body = r.src; r.bad {
		return frame{}, fmt.Errorf("segment definitions: %w", state.ErrCorrupt)
	}
	return f, nil
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

func (r *reader) string() string {
	n := r.count(1)
	s := string(r.src[:n])
	r.src = r.src[n:]
	return s
}

func (r *reader) indexed(key string) Indexed {
	in := Indexed{Log: r.string()}
	s := &in.Segment
	s.Base = r.uvarint() == 1
	s.From, s.To = r.uvarint(), r.uvarint()
	s.GroupLo, s.GroupHi = int(r.uvarint()), int(r.uvarint())
	s.Ref = objectstore.Ref{
		Key: key, Offset: int64(r.uvarint()), Length: int64(r.uvarint()), CRC32C: uint32(r.uvarint()),
	}
	return in
}
