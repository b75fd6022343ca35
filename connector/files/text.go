package files

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

var (
	errTooLong = errors.New("longer than 1 MiB")
	errQuote   = errors.New("a quote is never closed")
)

// recordMax bounds a record of text, and with it a reader's memory.
const recordMax = 1 << 20

// records cuts text into records: lines, or with quotes what CSV takes for one.
type records struct {
	file   *file
	r      *bufio.Reader
	at     place // of the next record
	quotes bool  // a line break between two '"' does not end a record
	blanks bool  // blank lines are records too

	buf []byte
}

// bufferBytes is what is read at once.
const bufferBytes = 256 << 10

func newRecords(f *file, from place) *records {
	t := &records{file: f, r: bufio.NewReaderSize(f.from(from.offset), bufferBytes), at: from}
	if from.offset == 0 {
		if b, err := t.r.Peek(len(byteOrderMark)); err == nil && string(b) == byteOrderMark {
			t.skip(len(b))
		}
	}
	return t
}

const byteOrderMark = "\ufeff"

// skip passes over n bytes that are in the buffer.
func (t *records) skip(n int) {
	n, _ = t.r.Discard(n) // they are there, so that it can not fail
	t.at.offset += int64(n)
}

// seek goes to another place.
func (t *records) seek(to place) {
	t.r.Reset(t.file.from(to.offset))
	t.at = to
}

// next returns the next record without its line break, valid until it is
// called again, and where it begins. The error may be a *badRow.
func (t *records) next() ([]byte, place, error) {
	for {
		at := t.at
		line, err := t.line(t.buf[:0])
		if err != nil && err != errTooLong {
			return nil, at, err
		}
		if len(line) == 0 && !t.blanks && err == nil {
			continue
		}
		t.at.row++
		if err != nil {
			return nil, at, bad(at, line, err)
		}
		if t.quotes && open(line) {
			return t.quoted(line, at)
		}
		return line, at, nil
	}
}

// quoted adds lines to a record whose first line has an open quote. If the
// quote is never closed, the first line alone is the bad one.
func (t *records) quoted(first []byte, at place) ([]byte, place, error) {
	resume, n := t.at, len(first)
	for open(t.buf) {
		t.buf = append(t.buf, '\n')
		_, err := t.line(t.buf)
		if err == io.EOF || err == errTooLong {
			b := bad(at, t.buf[:n], errQuote)
			t.seek(resume)
			return nil, at, b
		}
		if err != nil {
			return nil, at, err
		}
	}
	return t.buf, at, nil
}

// open tells whether text ends between two quotes.
func open(text []byte) bool { return bytes.Count(text, []byte{'"'})%2 == 1 }

// line appends a line without its break to dst and returns it; it goes on in
// t.buf. What is too long is passed over.
func (t *records) line(dst []byte) ([]byte, error) {
	tooLong, any := false, false
	for {
		part, err := t.r.ReadSlice('\n')
		t.at.offset += int64(len(part))
		any = any || len(part) > 0
		if tooLong = tooLong || len(dst)+len(part) > recordMax; !tooLong {
			dst = append(dst, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && !any:
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, err
		}
		dst = bytes.TrimSuffix(bytes.TrimSuffix(dst, []byte{'\n'}), []byte{'\r'})
		t.buf = dst
		if tooLong {
			return dst, errTooLong
		}
		return dst, nil
	}
}

// bad describes a bad row, with a copy of its beginning.
func bad(at place, raw []byte, err error) *badRow {
	return &badRow{place: at, raw: bytes.Clone(raw[:min(len(raw), rawMax)]), err: err}
}

// textCursor decodes the records of one split of a text file.
type textCursor[T any] struct {
	records *records
	decode  func(record []byte, row *T) error
	number  func(*T, int64)
	stride  int64
	index   int64
	row     T
}

func newTextCursor[T any](s *Source[T], r *records, d splitData, decode func([]byte, *T) error) *textCursor[T] {
	return &textCursor[T]{records: r, decode: decode, number: s.Number, stride: d.Stride, index: d.Index}
}

func (c *textCursor[T]) next() (*T, error) {
	for {
		record, at, err := c.records.next()
		var b *badRow
		if err != nil && !errors.As(err, &b) {
			return nil, err
		}
		if at.row%c.stride != c.index {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.row = *new(T)
		if err := c.decode(record, &c.row); err != nil {
			return nil, bad(at, record, err)
		}
		if c.number != nil {
			c.number(&c.row, at.row)
		}
		return &c.row, nil
	}
}

func (c *textCursor[T]) place() place { return c.records.at }
