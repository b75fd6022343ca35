package ha

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrCorrupt is returned by Open when what the data directory holds is damaged,
// and is why a node ends that finds a damaged entry in its log. Nothing is
// repaired: the node must be emptied and join again under another ID.
var ErrCorrupt = errors.New("corrupt data")

// An entry of the log, as Raft stores and sends it:
//
//	byte 0     format, 1
//	bytes 1-4  CRC32C of the command, big endian
//	the rest   the command
//
// bbolt keeps no checksum of what it stores, and Raft none of what it sends.
const (
	entryFormat = 1
	entryHeader = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal puts a command into an entry.
func seal(command []byte) []byte {
	entry := make([]byte, entryHeader, entryHeader+len(command))
	entry[0] = entryFormat
	binary.BigEndian.PutUint32(entry[1:], crc32.Checksum(command, castagnoli))
	return append(entry, command...)
}

// unseal takes a command out of its entry. It shares the entry's memory.
func unseal(entry []byte) ([]byte, error) {
	if len(entry) < entryHeader {
		return nil, fmt.Errorf("%w: entry of %d bytes", ErrCorrupt, len(entry))
	}
	if entry[0] != entryFormat {
		return nil, fmt.Errorf("entry format %d is unknown to this build", entry[0])
	}
	command := entry[entryHeader:]
	if crc32.Checksum(command, castagnoli) != binary.BigEndian.Uint32(entry[1:]) {
		return nil, fmt.Errorf("%w: entry's checksum does not match", ErrCorrupt)
	}
	return command, nil
}

// A snapshot, as Raft's snapshot store keeps it:
//
//	8 bytes    magic and format, "CAIRNHA1"
//	8 bytes    index of the last command that the state contains
//	8 bytes    term of that command
//	n bytes    the state
//	8 bytes    n
//	32 bytes   SHA-256 of all of the above
//
// Numbers are big endian. Index and state travel together, so that none can be
// adopted without the other. The length and the sum come last because the state
// is streamed; nothing is believed before both were checked.
const (
	snapshotMagic   = "CAIRNHA1"
	snapshotHead    = len(snapshotMagic) + 16
	snapshotTrailer = 8 + sha256.Size
)

// snapshotHeader is the position of a snapshot's state in the log.
type snapshotHeader struct {
	index, term uint64
}

// writeSnapshot writes a snapshot whose state persist produces.
func writeSnapshot(w io.Writer, h snapshotHeader, persist func(io.Writer) error) error {
	sum := sha256.New()
	out := &countingWriter{w: io.MultiWriter(w, sum)}
	head := append(make([]byte, 0, snapshotHead), snapshotMagic...)
	head = binary.BigEndian.AppendUint64(head, h.index)
	head = binary.BigEndian.AppendUint64(head, h.term)
	if _, err := out.Write(head); err != nil {
		return err
	}
	if err := persist(out); err != nil {
		return err
	}
	size := binary.BigEndian.AppendUint64(nil, uint64(out.n-snapshotHead))
	if _, err := out.Write(size); err != nil {
		return err
	}
	_, err := w.Write(sum.Sum(nil))
	return err
}

// readSnapshot returns the state in a snapshot, only if all of it is sound. It
// holds the whole in memory: the state itself lives there too.
func readSnapshot(r io.Reader) (snapshotHeader, io.Reader, error) {
	all, err := io.ReadAll(r)
	if err != nil {
		return snapshotHeader{}, nil, err
	}
	if len(all) < snapshotHead+snapshotTrailer || string(all[:len(snapshotMagic)]) != snapshotMagic {
		return snapshotHeader{}, nil, fmt.Errorf("%w: %d bytes that are no snapshot", ErrCorrupt, len(all))
	}
	summed, sum := all[:len(all)-sha256.Size], all[len(all)-sha256.Size:]
	if actual := sha256.Sum256(summed); !bytes.Equal(actual[:], sum) {
		return snapshotHeader{}, nil, fmt.Errorf("%w: snapshot of %d bytes: checksum does not match", ErrCorrupt, len(all))
	}
	state, size := summed[snapshotHead:len(summed)-8], binary.BigEndian.Uint64(summed[len(summed)-8:])
	if size != uint64(len(state)) {
		return snapshotHeader{}, nil, fmt.Errorf("%w: snapshot's state has %d bytes, not %d", ErrCorrupt, len(state), size)
	}
	position := all[len(snapshotMagic):]
	return snapshotHeader{
		index: binary.BigEndian.Uint64(position),
		term:  binary.BigEndian.Uint64(position[8:]),
	}, bytes.NewReader(state), nil
}

// countingWriter counts what went through.
type countingWriter struct {
	w io.Writer
	n int
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}
