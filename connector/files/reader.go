package files

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// place is a position between two rows of a file.
type place struct {
	row    int64 // number of the next row
	offset int64 // where it begins, in text; 0 for the beginning of the file
}

func (p place) bytes() []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(p.row)), uint64(p.offset))
}

// parsePlace reads what bytes wrote; nothing is the beginning.
func parsePlace(b []byte) (place, error) {
	if len(b) == 0 {
		return place{}, nil
	}
	row, n := binary.Uvarint(b)
	if n <= 0 {
		return place{}, fmt.Errorf("position %x: %w", b, errPlace)
	}
	offset, m := binary.Uvarint(b[n:])
	if m <= 0 || n+m != len(b) {
		return place{}, fmt.Errorf("position %x: %w", b, errPlace)
	}
	return place{int64(row), int64(offset)}, nil
}

var errPlace = errors.New("not a position in a file")

// badRow is the error of a row that could not be decoded.
type badRow struct {
	place place
	raw   []byte
	err   error
}

func (b *badRow) Error() string { return fmt.Sprintf("%s: %v", b.where(), b.err) }
func (b *badRow) Unwrap() error { return b.err }

func (b *badRow) where() string {
	return fmt.Sprintf("row %d (byte %d)", b.place.row, b.place.offset)
}

// rawMax is how much of a bad row is kept, by contract of connector.BadRecord.
const rawMax = 4 << 10

// badMax ends a Next early, so that a file of nothing but bad rows does not
// fill the memory with them.
const badMax = 64

// reader reads a split. It holds one row more than it has delivered: the next one.
type reader[T any] struct {
	source *Source[T]
	file   *file
	cursor cursor[T]
	split  string
	name   string
	pace   *pace // nil without Replay

	head   *T // the next row, if it is decoded already
	headAt place
	time   int64 // of head
	bad    []connector.BadRecord
}

// Next appends the rows that are due.
func (r *reader[T]) Next(ctx context.Context, most int, out *connector.Records[T]) (time.Duration, error) {
	defer r.file.heed(ctx)()
	now := time.Now()
	for range most {
		if err := r.look(); err != nil || r.head == nil {
			return 0, err
		}
		if r.pace != nil {
			if wait := r.pace.wait(now, r.time); wait > 0 {
				return wait, nil
			}
		}
		out.Values = append(out.Values, *r.head)
		out.Times = append(out.Times, r.time)
		r.head = nil
	}
	return 0, nil
}

// look decodes the next row, if that is not done yet. There may be none
// without an error: after many bad rows.
func (r *reader[T]) look() error {
	for r.head == nil && len(r.bad) < badMax {
		r.headAt = r.cursor.place()
		row, err := r.cursor.next()
		var bad *badRow
		switch {
		case errors.As(err, &bad):
			r.bad = append(r.bad, connector.BadRecord{Split: r.split, Where: bad.where(), Raw: bad.raw, Error: bad.err.Error()})
		case err == io.EOF:
			return io.EOF
		case err != nil:
			return fmt.Errorf("read %s: %w", r.name, err)
		default:
			r.head, r.time = row, r.source.timeOf(row)
		}
	}
	return nil
}

// timeOf is a row's event time.
func (s *Source[T]) timeOf(row *T) int64 {
	if s.Time == nil {
		return connector.NoTime
	}
	return s.Time(*row)
}

// Position is before the next row.
func (r *reader[T]) Position() []byte {
	if r.head != nil {
		return r.headAt.bytes()
	}
	return r.cursor.place().bytes()
}

// TakeBad returns the bad rows met since it was called last.
func (r *reader[T]) TakeBad() []connector.BadRecord {
	bad := r.bad
	r.bad = nil
	return bad
}

// Watermark is how far the replay has come; NoTime without one.
func (r *reader[T]) Watermark() int64 {
	if r.pace == nil {
		return connector.NoTime
	}
	return r.pace.watermark
}

// Backlog is always true without a replay: what is in a file has waited. A replay
// has one while its rows come later than they are due.
func (r *reader[T]) Backlog() bool { return r.pace == nil || r.pace.late >= lateMin }

// Close closes the file.
func (r *reader[T]) Close() error {
	r.source.shared.release()
	return r.file.close()
}

var (
	_ connector.Reader[int] = (*reader[int])(nil)
	_ connector.BadRecords  = (*reader[int])(nil)
	_ connector.Watermarker = (*reader[int])(nil)
	_ connector.Backlogger  = (*reader[int])(nil)
)
