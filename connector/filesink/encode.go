package filesink

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/parquet-go/parquet-go"
)

// JSONAppender is a record type that writes its own JSON, on one line and without
// the line break: faster than encoding/json.
type JSONAppender interface {
	AppendJSON(dst []byte) ([]byte, error)
}

// JSONLines is a sink of one JSON value a line, encoded as encoding/json does
// (without escaping HTML), or by T itself if it is a JSONAppender.
func JSONLines[T any](url string) *Sink[T] {
	_, own := any(new(T)).(JSONAppender)
	return &Sink[T]{URL: url, format: format[T]{extension: "jsonl", open: func() (encoder[T], error) {
		e := &jsonLines[T]{own: own}
		e.json = json.NewEncoder(&e.buf)
		e.json.SetEscapeHTML(false)
		return e, nil
	}}}
}

type jsonLines[T any] struct {
	buf  bytes.Buffer
	json *json.Encoder
	own  bool
}

func (e *jsonLines[T]) write(v *T) error {
	if !e.own {
		return e.json.Encode(v)
	}
	line, err := any(v).(JSONAppender).AppendJSON(e.buf.AvailableBuffer())
	if err != nil {
		return err
	}
	if bytes.IndexByte(line, '\n') >= 0 {
		return fmt.Errorf("AppendJSON of %T wrote a line break", v)
	}
	e.buf.Write(append(line, '\n'))
	return nil
}

func (e *jsonLines[T]) size() int               { return e.buf.Len() }
func (e *jsonLines[T]) finish() ([]byte, error) { return e.buf.Bytes(), nil }

// Parquet is a sink of Parquet files, compressed with Zstandard. Columns are T's
// fields by their parquet tags, as github.com/parquet-go/parquet-go reads them.
func Parquet[T any](url string) *Sink[T] {
	return &Sink[T]{URL: url, format: format[T]{extension: "parquet", open: newParquet[T]}}
}

// groupRows is the size of a row group: what a Parquet part holds in memory
// besides its finished bytes.
const groupRows = 32 << 10

type parquetPart[T any] struct {
	buf  bytes.Buffer
	w    *parquet.GenericWriter[T]
	row  []T // one row, as the writer wants it
	rows int // in the row group
}

// newParquet refuses a T that has no columns; the library panics at it.
func newParquet[T any]() (_ encoder[T], err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%T as a row of Parquet: %v", *new(T), p)
		}
	}()
	e := &parquetPart[T]{row: make([]T, 1)}
	e.w = parquet.NewGenericWriter[T](&e.buf, parquet.Compression(&parquet.Zstd))
	return e, nil
}

func (e *parquetPart[T]) write(v *T) error {
	e.row[0] = *v
	if _, err := e.w.Write(e.row); err != nil {
		return err
	}
	if e.rows++; e.rows < groupRows {
		return nil
	}
	e.rows = 0
	return e.w.Flush()
}

func (e *parquetPart[T]) size() int { return e.buf.Len() }

func (e *parquetPart[T]) finish() ([]byte, error) {
	if err := e.w.Close(); err != nil {
		return nil, fmt.Errorf("finish a Parquet part: %w", err)
	}
	return e.buf.Bytes(), nil
}
