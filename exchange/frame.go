package exchange

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/dataflow"
)

var (
	// ErrRefused is returned by Open when the peer does not take the channel:
	// its attempt is over there, the channel is unknown or already open.
	ErrRefused = errors.New("channel refused")
	// ErrBroken is returned by Send, and given to Receiver.Broken, when a
	// channel ended before its attempt did.
	ErrBroken = errors.New("channel broken")
	// ErrClosed is returned by methods of what was closed.
	ErrClosed = errors.New("closed")
	// ErrCorrupt is returned when bytes from a peer are not frames.
	ErrCorrupt = errors.New("not a frame")
)

// Kinds of frames that the exchange itself uses; the engine never sees them.
const (
	hello   FrameKind = 16 // first frame of a stream; Payload: the channel's id
	grant   FrameKind = 17 // receiver to sender, Arg: so many more batches
	ping    FrameKind = 18 // first frame of a connection's pulse, and each after it; answered alike
	goodbye FrameKind = 19 // the sender closed the channel on purpose
)

const (
	headerBytes = 16
	// frameBytesMax bounds a payload. A batch of 1,024 rows reaches it with
	// rows of 64 KiB: beyond that a length is more likely to be garbage.
	frameBytesMax = 64 << 20
	// inlineBytesMax: a payload up to this size is copied behind its header.
	// The copy is cheaper than one more buffer on its way through gRPC.
	inlineBytesMax = 1 << 10
)

// appendHeader writes the 16 bytes before a payload: kind, flags (0), two
// reserved bytes (0), the payload's length and the argument, little-endian.
func appendHeader(b []byte, f Frame) []byte {
	b = append(b, byte(f.Kind), 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Payload)))
	return binary.LittleEndian.AppendUint64(b, uint64(f.Arg))
}

// nextFrame cuts the first frame off b. The frame's payload is part of b.
func nextFrame(b []byte) (f Frame, rest []byte, err error) {
	if len(b) < headerBytes {
		return Frame{}, nil, fmt.Errorf("%w: %d bytes left, a header has %d", ErrCorrupt, len(b), headerBytes)
	}
	if b[1] != 0 || b[2] != 0 || b[3] != 0 {
		return Frame{}, nil, fmt.Errorf("%w: flags %x are not of this version", ErrCorrupt, b[1:4])
	}
	n := binary.LittleEndian.Uint32(b[4:])
	f = Frame{Kind: FrameKind(b[0]), Arg: int64(binary.LittleEndian.Uint64(b[8:]))}
	b = b[headerBytes:]
	if uint64(n) > uint64(len(b)) {
		return Frame{}, nil, fmt.Errorf("%w: payload of %d bytes, %d left", ErrCorrupt, n, len(b))
	}
	if n > 0 {
		f.Payload = b[:n:n]
	}
	return f, b[n:], nil
}

// encodeID is the payload of a hello: four numbers, then the job.
func encodeID(id ChannelID) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(id.Attempt))
	for _, n := range []int{id.Edge, id.From, id.To} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return append(b, id.Job...)
}

func decodeID(b []byte) (ChannelID, error) {
	const fixed = 8 + 3*4
	if len(b) < fixed {
		return ChannelID{}, fmt.Errorf("%w: a channel id of %d bytes", ErrCorrupt, len(b))
	}
	return ChannelID{
		Attempt: dataflow.Attempt(binary.LittleEndian.Uint64(b)),
		Edge:    int(binary.LittleEndian.Uint32(b[8:])),
		From:    int(binary.LittleEndian.Uint32(b[12:])),
		To:      int(binary.LittleEndian.Uint32(b[16:])),
		Job:     dataflow.JobID(b[fixed:]),
	}, nil
}
