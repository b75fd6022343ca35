package changelog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// The layout of an object is drawn in docs/formats/changelog.md.

const (
	// magic begins and ends an object; its last byte is the version.
	magic = "CAIRNLG\x02"
	// trailerSize: index offset (8), index length (4), index CRC32C (4), magic.
	trailerSize = 24
)

// content says what the body of a segment is.
type content byte

const (
	contentChanges  content = iota // log entries, after definitions
	contentEntries                 // entries of an image, after definitions
	contentRecords                 // blocks of records of an image, after definitions
	contentFile                    // a file of an image, alone
	contentInFlight                // batches that a barrier overtook
)

// A segment's flags are its compression and, above contentShift, its content.
const (
	compressionMask = 3
	contentShift    = 2
	flagsMax        = contentInFlight<<contentShift | compressionMask
)

// definition is a state as a segment defines it.
type definition struct {
	handle             state.Handle
	name, kind, schema string
}

// objectKey is the name of a process's object. A hedged upload takes another
// number, so that a name still is the name of one upload.
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

// encoder writes an object, segment by segment. It is taken out of a pool: at full
// speed its buffers are most of what a process would allocate.
type encoder struct {
	out   []byte
	body  []byte // scratch, for what is compressed
	index []byte
	count uint64
}

// encoders are those that nobody uses.
var encoders = sync.Pool{New: func() any { return new(encoder) }}

// encoderKeeps is the largest buffer that an encoder goes back to the pool with.
const encoderKeeps = 2 * objectBytes

// newEncoder begins an object. Who calls finish gives the encoder up.
func newEncoder() *encoder {
	e := encoders.Get().(*encoder)
	e.out, e.index, e.count = append(e.out[:0], magic...), e.index[:0], 0
	return e
}

// add appends a part's segment and sets all of its Ref but the key.
func (e *encoder) add(p *part, c compression) {
	from := len(e.out)
	flags := e.segment(p, c)
	ref := &p.segment.Ref
	ref.Offset, ref.Length = int64(from), int64(len(e.out)-from)
	ref.CRC32C = objectstore.CRC32C(e.out[from:])
	e.describe(p.log, flags, p.segment.Segment)
}

// segment appends what a Ref refers to: flags, the position before the first
// entry, the number of entries, the size of the body, and the body, compressed
// if that helps.
func (e *encoder) segment(p *part, c compression) (flags byte) {
	var entries uint64
	e.body = e.body[:0]
	switch p.content {
	case contentFile:
		c = compressNone // its owner has compressed it
	case contentInFlight: // has no states
	default:
		e.body = appendDefinitions(e.body, p.defs)
	}
	for _, b := range p.blocks {
		if p.content == contentRecords {
			e.body = binary.AppendUvarint(e.body, uint64(len(b.data)))
		}
		e.body = append(e.body, b.data...)
		entries += uint64(b.entries)
	}
	at := len(e.out)
	e.out = append(e.out, 0)
	e.out = binary.AppendUvarint(e.out, p.segment.From)
	e.out = binary.AppendUvarint(e.out, entries)
	e.out = binary.AppendUvarint(e.out, uint64(len(e.body)))
	e.out, c = appendCompressed(e.out, e.body, c)
	e.out[at] = byte(c) | byte(p.content)<<contentShift
	return e.out[at]
}

// describe adds a segment to the index.
func (e *encoder) describe(log string, flags byte, s snapshot.Segment) {
	e.count++
	e.index = appendString(e.index, log)
	for _, v := range []uint64{uint64(flags), s.From, s.To, uint64(s.GroupLo), uint64(s.GroupHi)} {
		e.index = binary.AppendUvarint(e.index, v)
	}
	e.index = appendString(e.index, s.Name)
	for _, v := range []uint64{uint64(s.Ref.Offset), uint64(s.Ref.Length), uint64(s.Ref.CRC32C)} {
		e.index = binary.AppendUvarint(e.index, v)
	}
}

// finish appends index and trailer, and returns the object in memory of its own. The encoder must not be used any more.
func (e *encoder) finish() []byte {
	at := len(e.out)
	e.out = binary.AppendUvarint(e.out, e.count)
	e.out = append(e.out, e.index...)
	index := e.out[at:]
	e.out = binary.LittleEndian.AppendUint64(e.out, uint64(at))
	e.out = binary.LittleEndian.AppendUint32(e.out, uint32(len(index)))
	e.out = binary.LittleEndian.AppendUint32(e.out, objectstore.CRC32C(index))
	e.out = append(e.out, magic...)
	object := bytes.Clone(e.out)
	if cap(e.out) <= encoderKeeps && cap(e.body) <= encoderKeeps {
		encoders.Put(e)
	}
	return object
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
