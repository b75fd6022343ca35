package filesink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// writer makes the parts of one subtask.
type writer[T any] struct {
	sink  *Sink[T]
	env   connector.Env
	limit int

	rolled  []*part    // full, since the last Prepare
	current encoder[T] // nil before the first record
}

// Write encodes records, and ends the part when it is full.
func (w *writer[T]) Write(values []T, _ []int64) error {
	for i := range values {
		if err := w.write(&values[i]); err != nil {
			return fmt.Errorf("file sink %s: %w", w.env.UID, err)
		}
	}
	return nil
}

func (w *writer[T]) write(v *T) (err error) {
	if w.current == nil {
		if w.current, err = w.sink.format.open(); err != nil {
			return err
		}
	}
	if err := w.current.write(v); err != nil {
		return err
	}
	if w.current.size() < w.limit {
		return nil
	}
	return w.roll()
}

// roll moves a full part out of memory.
func (w *writer[T]) roll() error {
	data, err := w.current.finish()
	if err != nil {
		return err
	}
	w.current = nil
	p, err := spool(data)
	if err != nil {
		return err
	}
	w.rolled = append(w.rolled, p)
	return nil
}

// Prepare hands what was written over to a function that stages it. That one
// may be called again after an error.
func (w *writer[T]) Prepare(id dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	if len(w.rolled) == 0 && w.current == nil {
		return nil, nil
	}
	s := &staging[T]{sink: w.sink, env: w.env, checkpoint: id, parts: w.rolled, last: w.current}
	w.rolled, w.current = nil, nil
	return s.run, nil
}

// Close drops what was not prepared.
func (w *writer[T]) Close() error {
	var errs []error
	for _, p := range w.rolled {
		errs = append(errs, p.close())
	}
	w.rolled, w.current = nil, nil
	return errors.Join(append(errs, w.sink.lease.giveBack())...)
}

// staging is the parts of one subtask in one checkpoint, on their way.
type staging[T any] struct {
	sink       *Sink[T]
	env        connector.Env
	checkpoint dataflow.CheckpointID
	parts      []*part
	last       encoder[T] // not finished; nil if there is none
}

// run makes the parts durable and returns their transactions.
func (s *staging[T]) run(ctx context.Context) (payloads [][]byte, err error) {
	if s.last != nil {
		data, err := s.last.finish()
		if err != nil {
			return nil, fmt.Errorf("file sink %s: %w", s.env.UID, err)
		}
		s.parts, s.last = append(s.parts, &part{data: bytes.NewReader(data), size: int64(len(data)), crc: objectstore.CRC32C(data)}), nil
	}
	err = s.sink.with(ctx, s.env, func(b objectstore.Bucket) error {
		for n, p := range s.parts {
			payload, err := s.stage(ctx, b, n, p)
			if err != nil {
				return err
			}
			payloads = append(payloads, payload)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("file sink %s: %w", s.env.UID, err)
	}
	for _, p := range s.parts {
		p.close() // it has been read whole; an error here says nothing more
	}
	return payloads, nil
}

func (s *staging[T]) stage(ctx context.Context, b objectstore.Bucket, n int, p *part) ([]byte, error) {
	name := partName{checkpoint: s.checkpoint, subtask: s.env.Subtask, n: n, extension: s.sink.format.extension}
	key := name.staged(s.env)
	if err := b.PutFile(ctx, key, p.data, p.size); err != nil {
		return nil, fmt.Errorf("stage %s: %w", key, err)
	}
	return encodePayload(payload{
		Staged: objectstore.Ref{Key: key, Length: p.size, CRC32C: p.crc},
		Final:  name.final(s.env.Job, s.env.UID),
	})
}

// part is a finished part that waits for its checkpoint.
type part struct {
	data io.ReadSeeker
	file *os.File // behind data; nil if the part is in memory
	size int64
	crc  uint32
}

// spool writes a part to a temporary file without a name, which is gone when it
// is closed or the process ends.
func spool(data []byte) (p *part, err error) {
	f, err := os.CreateTemp("", "cairn-part-*")
	if err != nil {
		return nil, fmt.Errorf("spool a part: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, errors.Join(fmt.Errorf("spool a part: %w", err), f.Close())
	}
	return &part{data: f, file: f, size: int64(len(data)), crc: objectstore.CRC32C(data)}, nil
}

func (p *part) close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// checksum reads r to its end.
func checksum(r io.Reader) (size int64, crc uint32, err error) {
	h := crc32.New(castagnoli)
	size, err = io.Copy(h, r)
	return size, h.Sum32(), err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
