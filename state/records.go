package state

import (
	"encoding/binary"
	"fmt"
)

// Records writes fixed-size records of one state, for a RecordBlock:
//
//	uvarint handle
//	uvarint key size, sub-key size, value size
//	runs, to the end:
//	  uvarint group
//	  uvarint number of records
//	  records: key, sub-key, value
//
// A page of a flat table becomes a run by copying, and a restore copies runs back
// without a decision per entry but its place.
type Records struct {
	Handle                      Handle
	KeySize, SubSize, ValueSize int
}

// recordSizeMax bounds the sizes in a block: larger values are not stored inline.
const recordSizeMax = 1 << 16

// Size is the length of a record.
func (r Records) Size() int { return r.KeySize + r.SubSize + r.ValueSize }

// AppendHeader begins a block.
func (r Records) AppendHeader(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.Handle))
	dst = binary.AppendUvarint(dst, uint64(r.KeySize))
	dst = binary.AppendUvarint(dst, uint64(r.SubSize))
	return binary.AppendUvarint(dst, uint64(r.ValueSize))
}

// AppendRun begins a run of n records of a group; n times Size bytes follow it.
func (r Records) AppendRun(dst []byte, group, n int) []byte {
	dst = binary.AppendUvarint(dst, uint64(group))
	return binary.AppendUvarint(dst, uint64(n))
}

// ReadRecords decodes a block: it calls run for each of its runs, whose records lie
// in data, one after the other. Bytes that do not decode are ErrCorrupt.
func ReadRecords(block []byte, run func(r Records, group int, data []byte) error) error {
	in := reader{src: block}
	h := in.uvarint()
	key, sub, value := in.uvarint(), in.uvarint(), in.uvarint()
	if in.bad || h > 1<<16-1 || key > recordSizeMax || sub > recordSizeMax || value > recordSizeMax || key+sub+value == 0 {
		return fmt.Errorf("record block: %w", ErrCorrupt)
	}
	r := Records{Handle(h), int(key), int(sub), int(value)}
	for in.pos < len(block) {
		group, n := in.uvarint(), in.uvarint()
		if in.bad || group > maxGroup || n > uint64((len(block)-in.pos)/r.Size()) {
			return fmt.Errorf("record block: run at byte %d: %w", in.pos, ErrCorrupt)
		}
		size := int(n) * r.Size()
		if err := run(r, int(group), block[in.pos:in.pos+size]); err != nil {
			return err
		}
		in.pos += size
	}
	return nil
}
