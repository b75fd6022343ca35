// Package files is a source: the rows of CSV, JSON lines, Parquet and plain
// text files, on a local disk, in an object store or embedded in the program.
//
//	trips := files.Parquet[Trip]("s3://archive/trips/2001-*.parquet")
//	trips.Time = func(t Trip) int64 { return t.Start.UnixMilli() }
//	s := stream.From(p, "trips", trips, stream.UID("trips"), stream.Monotonic())
//
// T is a struct whose fields are matched to columns by the tags csv, json and
// parquet. Every file is a split, or several (see Source.Stride). A reader's
// position is the number of the next row and, in text, where it begins, so a
// restored job reads on without looking at what comes before. Files must not
// change while a job may still read them; a file of another size is refused,
// except that lines may be added to text, which the job does not see.
//
// A row that can not be decoded is a connector.BadRecord and does not end the
// job unless stream.FailOnBadRecord says so. A file that is not of its format
// at all is an error that names it.
//
// With Replay the rows come at the pace of their event times, as if the file
// happened again.
package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cairnstream/cairn/connector"
)

var (
	// ErrNoFile is returned by Splits when nothing matches the location.
	ErrNoFile = errors.New("no such file")
	// ErrChanged is returned by Open when a file is not the one that the job
	// began to read.
	ErrChanged = errors.New("file has changed")
	// ErrFormat is returned by Open and by readers when a file is not of its
	// format, or its columns don't fit the row type.
	ErrFormat = errors.New("file does not fit")
)

// Source is a set of files with rows of type T. CSV, JSONLines, Parquet and
// Lines make one; the fields are set before the job starts and not changed after.
type Source[T any] struct {
	// Location is a path or a URL; its last segments may hold the wildcards
	// of path.Match. A path and file:// mean the disk of the machine that
	// reads (every machine must have the files there) or FS; any other URL is
	// a bucket's, such as s3://bucket/folder/*.csv.
	Location string
	// FS holds the files if it is not nil: an embed.FS, for example.
	FS fs.FS
	// Stride cuts each file into so many splits, of which split i has the rows
	// with number i modulo Stride: their event times go on side by side.
	// Default 1.
	Stride int
	// Number, if not nil, is called for each row with its number: 0 for a
	// file's first. Blank lines and a CSV header have none, bad rows have.
	Number func(row *T, number int64)
	// Time gives a row's event time in Unix milliseconds. Default: none.
	Time func(T) int64
	// Comma separates the columns of CSV. Default ','.
	Comma byte
	// Replay paces the rows by their Time. nil: as fast as they can be read.
	Replay *Replay

	format format[T]
	shared shared[T]
}

// format opens a file's rows from a place on.
type format[T any] func(s *Source[T], f *file, split splitData, from place) (cursor[T], error)

// cursor walks over the rows of a split.
type cursor[T any] interface {
	// next returns the split's next row, which is valid until it is called
	// again. The error is io.EOF at the end, or a *badRow, which next goes
	// past.
	next() (*T, error)
	// place is where next will go on.
	place() place
}

// splitData is what a split's Data holds, as JSON.
type splitData struct {
	Bucket string `json:"bucket,omitempty"` // URL; empty for a disk or FS
	Path   string `json:"path"`             // or the key in the bucket
	Size   int64  `json:"size"`
	Stride int64  `json:"stride"`
	Index  int64  `json:"index"`
}

// String is the file's name for people.
func (d splitData) String() string {
	if d.Bucket == "" {
		return d.Path
	}
	return d.Bucket + "/" + d.Path
}

// Splits lists the files and cuts them.
func (s *Source[T]) Splits(ctx context.Context, env connector.Env) ([]connector.Split, error) {
	found, err := s.list(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", s.Location, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("list %s: %w", s.Location, ErrNoFile)
	}
	var out []connector.Split
	for _, d := range found {
		d.Stride = int64(max(s.Stride, 1))
		for d.Index = range d.Stride {
			data, err := json.Marshal(d)
			if err != nil {
				return nil, fmt.Errorf("describe %v: %w", d, err)
			}
			out = append(out, connector.Split{ID: d.id(), Data: data})
		}
	}
	return out, nil
}

func (d splitData) id() string {
	if d.Stride == 1 {
		return d.String()
	}
	return fmt.Sprintf("%v#%d/%d", d, d.Index, d.Stride)
}

// Open starts reading a split at a position.
func (s *Source[T]) Open(ctx context.Context, env connector.Env, split connector.Split, position []byte) (connector.Reader[T], error) {
	var d splitData
	if err := json.Unmarshal(split.Data, &d); err != nil {
		return nil, fmt.Errorf("read split %q: %w", split.ID, err)
	}
	from, err := parsePlace(position)
	if err != nil {
		return nil, fmt.Errorf("read %v: %w", d, err)
	}
	f, err := s.open(ctx, env, d)
	if err != nil {
		return nil, fmt.Errorf("read %v: %w", d, err)
	}
	r, err := s.start(ctx, f, split.ID, d, from)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %v: %w", d, err), f.close())
	}
	return r, nil
}

// start makes the reader of an open file.
func (s *Source[T]) start(ctx context.Context, f *file, id string, d splitData, from place) (*reader[T], error) {
	defer f.heed(ctx)()
	r := &reader[T]{source: s, file: f, split: id, name: d.String()}
	if s.Replay != nil {
		sched, err := s.schedule(f, d)
		if err != nil {
			return nil, err
		}
		r.pace = &pace{schedule: sched, watermark: connector.NoTime}
	}
	c, err := s.format(s, f, d, from)
	if err != nil {
		return nil, err
	}
	r.cursor = c
	s.shared.retain()
	return r, nil
}

var _ connector.Source[int] = (*Source[int])(nil)
