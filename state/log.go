package state

import (
	"context"
	"encoding/binary"
	"fmt"
)

// Log takes a store's changes as they happen. changelog.Log is one; a store
// without a log (nil) keeps its state to itself.
//
// The store's goroutine makes all calls. Positions count entries from 0, the
// same on both sides.
type Log interface {
	// Define tells of a handle before the first entry that uses it, and again
	// when its schema has changed.
	Define(h Handle, d Definition)
	// Append takes encoded entries (AppendEntry). The block is the log's from
	// then on; next is an empty one to fill instead. Append does no more than
	// to keep the block: compression and I/O are other goroutines' work. It blocks
	// only while more waits to be uploaded than memory and local disk may
	// hold. When the log's owner has stopped it returns at once and drops the block.
	Append(block []byte, entries int) (next []byte)
	// WantsImage reports whether the log has grown so long that it would rather
	// start again from a full image. It is asked at a barrier.
	WantsImage(liveBytes int64) bool
	// Image takes a full image of the store as of the current position. The
	// log writes it from a goroutine of its own and closes it.
	Image(i Image)
}

// Image is a store as of one moment, for another goroutine to read while the
// store goes on.
type Image interface {
	// Write yields the image in blocks with disjoint entries, and ends early with
	// yield's error. A block's memory is the callee's. It is called at most once.
	Write(ctx context.Context, yield func(Block) error) error
	// Fuzzy reports whether the image may hold changes after its position, up to
	// the log's position when Write returns. Changes are whole values, so replaying
	// those that it has does no harm, but a restore must replay at least so far.
	Fuzzy() bool
	// Close lets the store forget the image. It is called once, after Write or
	// instead of it.
	Close()
}

// BlockFormat says what a block's bytes are.
type BlockFormat uint8

const (
	// EntryBlock holds entries as AppendEntry writes them.
	EntryBlock BlockFormat = iota
	// RecordBlock holds fixed-size records of one state: see AppendRecords.
	RecordBlock
	// FileBlock is a file that only the backend which wrote it understands. It
	// is stored under Block.Name and never loaded by entry.
	FileBlock
)

// Block is a part of an image, for a range of key groups.
type Block struct {
	GroupLo, GroupHi int
	Entries          int
	Format           BlockFormat
	Data             []byte
	// Name is the file's name, of a FileBlock. A name that an earlier image of
	// the same log had is the same bytes: they are not uploaded again, and
	// Data may be nil.
	Name string
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
