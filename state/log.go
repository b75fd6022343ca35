package state

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCorrupt is returned when stored bytes do not decode: they are damaged, or
// another program wrote them.
var ErrCorrupt = errors.New("state corrupt")

// Log takes a store's changes as they happen. changelog.Log is one; a store
// without a log (nil) keeps its state in memory only.
//
// The store's goroutine makes all calls. Positions count entries from 0, the
// same on both sides.
type Log interface {
	// Define tells of a handle before the first entry that uses it.
	Define(h Handle, name, kind, schema string)
	// Append takes encoded entries (AppendEntry); it copies block. It blocks
	// while too much waits to be uploaded: this is where a slow object store
	// slows the job instead of filling its memory. When the log's owner has
	// stopped it returns at once and drops the block.
	Append(block []byte, entries int)
	// WantsImage reports whether the log has grown so long against the live
	// state that it would rather start again from a full image. It is asked
	// at a barrier.
	WantsImage(liveBytes int64) bool
	// Image takes a full image of the store as of the current position. The
	// log owns the blocks' memory from then on. Blocks of one image have disjoint entries.
	Image(blocks []Block)
}

// Block is a part of an image: encoded entries of a range of key groups.
type Block struct {
	GroupLo, GroupHi int
	Entries          int
	Data             []byte
}

// Entry is one change in a log: what an entry of a store became.
type Entry struct {
	Handle  Handle
	Deleted bool // no Value
	Group   int
	Key     []byte
	Sub     []byte
	Value   []byte
}

// AppendEntry appends e's encoding to dst:
//
//	uvarint handle<<1 | deleted
//	uvarint group
//	uvarint len, key
//	uvarint len, sub
//	uvarint len, value        (unless deleted)
func AppendEntry(dst []byte, e Entry) []byte {
	head := uint64(e.Handle) << 1
	if e.Deleted {
		head |= 1
	}
	dst = binary.AppendUvarint(dst, head)
	dst = binary.AppendUvarint(dst, uint64(e.Group))
	dst = appendBytes(dst, e.Key)
	dst = appendBytes(dst, e.Sub)
	if !e.Deleted {
		dst = appendBytes(dst, e.Value)
	}
	return dst
}

// maxGroup bounds the key groups that an entry may name; a job has far fewer.
const maxGroup = 1 << 30

// ReadEntry decodes the entry at the front of src and returns its length. The
// entry's slices point into src. Bytes that do not decode are ErrCorrupt.
func ReadEntry(src []byte) (e Entry, n int, err error) {
	r := reader{src: src}
	head, group := r.uvarint(), r.uvarint()
	e.Handle, e.Deleted, e.Group = Handle(head>>1), head&1 == 1, int(group)
	e.Key, e.Sub = r.bytes(), r.bytes()
	if !e.Deleted {
		e.Value = r.bytes()
	}
	if r.bad || head>>1 > 1<<16-1 || group > maxGroup {
		return Entry{}, 0, fmt.Errorf("log entry: %w", ErrCorrupt)
	}
	return e, r.pos, nil
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// reader takes fields off the front of src until one is bad.
type reader struct {
	src []byte
	pos int
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.src[r.pos:])
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.pos += n
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.src)-r.pos) {
		r.bad = true
		return nil
	}
	b := r.src[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}
