package files

import (
	"context"
	"io"
	"sync"

	"github.com/cairnstream/cairn/objectstore"
)

// file is an open file, wherever it is. One reader uses it.
type file struct {
	at    io.ReaderAt
	size  int64 // what the job reads
	now   int64 // what is there
	close func() error
	// interrupt ends what a remote file does on the network, for good; nil
	// for a local one.
	interrupt context.CancelFunc
}

// heed makes the end of ctx end what the file does on the network, until the
// returned function is called. io.ReaderAt, which decoders want, knows no contexts.
func (f *file) heed(ctx context.Context) func() bool {
	if f.interrupt == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, f.interrupt)
}

// from reads the file from an offset to its end.
func (f *file) from(offset int64) io.Reader { return io.NewSectionReader(f.at, offset, f.size-offset) }

// A remote file is read in pieces of chunkBytes, large enough that the latency
// of a request (some 20 ms) does not dominate; chunksKept of them stay in memory.
const (
	chunkBytes = 4 << 20
	chunksKept = 2
)

// openRemote reads an object. It takes over the bucket.
func openRemote(ctx context.Context, b objectstore.Bucket, key string, size int64) *file {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	at := &chunked{size: size, get: func(offset, length int64) ([]byte, error) {
		return b.Get(life, key, offset, length)
	}}
	return &file{at: at, size: size, now: size, interrupt: cancel, close: func() error {
		cancel()
		return b.Close()
	}}
}

// chunked is an io.ReaderAt that reads whole chunks and keeps the last few.
type chunked struct {
	size int64
	get  func(offset, length int64) ([]byte, error)

	mu   sync.Mutex
	kept []chunk // newest last
}

type chunk struct {
	offset int64
	data   []byte
}

// ReadAt fills p from the chunks that hold it.
func (c *chunked) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		if offset >= c.size {
			return n, io.EOF
		}
		data, err := c.chunk(offset - offset%chunkBytes)
		if err != nil {
			return n, err
		}
		k := copy(p[n:], data[offset%chunkBytes:])
		n, offset = n+k, offset+int64(k)
	}
	return n, nil
}

func (c *chunked) chunk(offset int64) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.kept {
		if k.offset == offset {
			return k.data, nil
		}
	}
	data, err := c.get(offset, min(chunkBytes, c.size-offset))
	if err != nil {
		return nil, err
	}
	if len(c.kept) == chunksKept {
		c.kept = append(c.kept[:0], c.kept[1:]...)
	}
	c.kept = append(c.kept, chunk{offset, data})
	return data, nil
}
