package changelog

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// compression is how a segment's body is compressed.
type compression byte

const (
	compressNone compression = iota
	compressS2
	compressZstd
)

// The names of the compressions, for Config.Compression. s2 takes about 2 ns a
// byte on one core, and zstd four times that for two thirds of the bytes.
const (
	CompressNone = "none"
	CompressS2   = "s2"
	CompressZstd = "zstd"
)

// parseCompression returns the compression of that name.
func parseCompression(name string) (compression, error) {
	switch name {
	case CompressNone:
		return compressNone, nil
	case CompressS2:
		return compressS2, nil
	case CompressZstd:
		return compressZstd, nil
	}
	return 0, fmt.Errorf("changelog: compression %q is unknown: give %q, %q or %q", name, CompressS2, CompressZstd, CompressNone)
}

// bodyMax bounds the size of a body that is decompressed, against damaged sizes.
// We write none beyond objectBytes but for single blocks.
const bodyMax = 1 << 30

// zstdEncoder and zstdDecoder are shared: they keep what concurrent calls need.
var (
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(err) // the options are wrong
		}
		return e
	})
	zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(bodyMax))
		if err != nil {
			panic(err) // the options are wrong
		}
		return d
	})
)

// appendCompressed appends body, compressed as asked if that saves at least a
// sixteenth, which is worth the time to undo it, and tells how.
func appendCompressed(out, body []byte, c compression) ([]byte, compression) {
	at := len(out)
	switch c {
	case compressS2:
		room := s2.MaxEncodedLen(len(body))
		if room < 0 {
			break
		}
		out = grow(out, room)
		short := s2.Encode(out[at:at+room], body)
		out = out[:at+len(short)]
	case compressZstd:
		out = zstdEncoder().EncodeAll(body, out)
	}
	if c != compressNone && len(out) > at && len(out)-at <= len(body)-len(body)/16 {
		return out, c
	}
	return append(out[:at], body...), compressNone
}

// grow makes room for n more bytes.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	return append(make([]byte, 0, len(b)+n), b...)
}

// decompress returns the body of size bytes, in buf's memory if that is large
// enough.
func decompress(c compression, packed, buf []byte, size uint64) ([]byte, error) {
	if size > bodyMax {
		return nil, fmt.Errorf("%d bytes", size)
	}
	var body []byte
	var err error
	switch c {
	case compressNone:
		body = packed
	case compressS2:
		body, err = decompressS2(packed, buf, size)
	case compressZstd:
		body, err = zstdDecoder().DecodeAll(packed, buf[:0])
	default:
		err = fmt.Errorf("compression %d is unknown", c)
	}
	if err == nil && uint64(len(body)) != size {
		err = fmt.Errorf("%d bytes, want %d", len(body), size)
	}
	return body, err
}

func decompressS2(packed, buf []byte, size uint64) ([]byte, error) {
	if n, err := s2.DecodedLen(packed); err != nil || uint64(n) != size {
		return nil, fmt.Errorf("%d bytes, want %d: %w", n, size, s2.ErrCorrupt)
	}
	if uint64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	return s2.Decode(buf[:size], packed)
}
