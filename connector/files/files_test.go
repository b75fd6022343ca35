package files_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/connectortest"
	"github.com/cairnstream/cairn/connector/files"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
)

type row struct {
	ID   int64  `csv:"id" json:"id" parquet:"id"`
	Name string `csv:"name" json:"name" parquet:"name"`
	At   int64  `csv:"at" json:"at" parquet:"at"`
	N    int64  `csv:"-" json:"-" parquet:"-"`
}

// rows makes n rows with some equal times.
func rows(n int) (out []row) {
	for i := range n {
		out = append(out, row{ID: int64(i * i), Name: fmt.Sprintf("row \"%d\", %s", i, strings.Repeat("é", i%7)), At: int64(i / 3 * 60_000)})
	}
	return out
}

// content is the rows in a format.
func content(t testing.TB, format string, rows []row) []byte {
	t.Helper()
	var b bytes.Buffer
	switch format {
	case "csv":
		b.WriteString("id,ignored,name,at\n")
		for _, r := range rows {
			fmt.Fprintf(&b, "%d,x,\"%s\",%d\r\n", r.ID, strings.ReplaceAll(r.Name, `"`, `""`), r.At)
		}
	case "jsonl":
		for _, r := range rows {
			fmt.Fprintf(&b, "{\"id\":%d,\"name\":%q,\"at\":%d}\n\n", r.ID, r.Name, r.At)
		}
	case "parquet":
		w := parquet.NewGenericWriter[row](&b, parquet.MaxRowsPerRowGroup(97))
		if _, err := w.Write(rows); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

var formats = map[string]func(string) *files.Source[row]{
	"csv": files.CSV[row], "jsonl": files.JSONLines[row], "parquet": files.Parquet[row],
}

func numbered(s *files.Source[row]) *files.Source[row] {
	s.Number = func(r *row, n int64) { r.N = n }
	s.Time = func(r row) int64 { return r.At }
	return s
}

// readAll reads all splits to their ends, one after the other.
func readAll(t *testing.T, s *files.Source[row], env connector.Env) (connector.Records[row], []connector.BadRecord) {
	t.Helper()
	all, bad, err := read(t, s, env)
	if err != nil {
		t.Fatal(err)
	}
	return all, bad
}

func read[T any](t *testing.T, s *files.Source[T], env connector.Env) (all connector.Records[T], bad []connector.BadRecord, err error) {
	splits, err := s.Splits(t.Context(), env)
	if err != nil {
		return all, nil, err
	}
	for _, split := range splits {
		r, err := s.Open(t.Context(), env, split, nil)
		if err != nil {
			return all, bad, err
		}
		for err == nil {
			_, err = r.Next(t.Context(), 100, &all)
			bad = append(bad, r.(connector.BadRecords).TakeBad()...)
		}
		if closed := r.Close(); closed != nil {
			t.Error(closed)
		}
		if err != io.EOF {
			return all, bad, err
		}
	}
	return all, bad, nil
}

func TestReadsWhatIsThere(t *testing.T) {
	want := rows(500)
	for i := range want {
		want[i].N = int64(i)
	}
	for format, source := range formats {
		for stride := range 4 {
			t.Run(fmt.Sprintf("%s stride %d", format, stride), func(t *testing.T) {
				s := numbered(source("x.*"))
				s.FS = fstest.MapFS{"x." + format: {Data: content(t, format, rows(500))}}
				s.Stride = stride
				got, bad := readAll(t, s, connector.Env{})
				slices.SortFunc(got.Values, func(a, b row) int { return int(a.N - b.N) })
				if !reflect.DeepEqual(got.Values, want) || len(bad) > 0 {
					t.Errorf("got %d rows and %d bad ones", len(got.Values), len(bad))
				}
			})
		}
	}
}

// TestFilesWithoutRows are no mistake; a Parquet file of them may have no row
// group at all.
func TestFilesWithoutRows(t *testing.T) {
	for format, source := range formats {
		for _, replay := range []*files.Replay{nil, {Duration: time.Second}} {
			s := numbered(source("x.*"))
			s.FS = fstest.MapFS{"x." + format: {Data: content(t, format, nil)}}
			s.Replay = replay
			if got, bad := readAll(t, s, connector.Env{}); len(got.Values) > 0 || len(bad) > 0 {
				t.Errorf("%s: got %d rows and %d bad ones", format, len(got.Values), len(bad))
			}
		}
	}
}

func TestReplaysFromAnyPosition(t *testing.T) {
	for format, source := range formats {
		for name, set := range map[string]func(*files.Source[row]){
			"whole":  func(*files.Source[row]) {},
			"stride": func(s *files.Source[row]) { s.Stride = 3 },
			"paced":  func(s *files.Source[row]) { s.Stride, s.Replay = 2, &files.Replay{Duration: time.Second} },
		} {
			t.Run(format+" "+name, func(t *testing.T) {
				data := content(t, format, rows(300))
				if format != "parquet" {
					data = append(data, "broken\n"...)
					data = append(data, data[len(data)/2:]...)
				}
				s := numbered(source("x"))
				s.FS = fstest.MapFS{"x": {Data: data}}
				set(s)
				connectortest.Source(t, connectortest.SourceConfig[row]{Source: s})
			})
		}
	}
}

func TestFromABucket(t *testing.T) {
	for format, source := range formats {
		t.Run(format, func(t *testing.T) {
			b := mem.New()
			for _, key := range []string{"a/1.x", "a/2.x", "a/3.y", "a/b/4.x", "5.x"} {
				if err := b.Put(t.Context(), key, content(t, format, rows(200)), objectstore.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			s := numbered(source("mem://bucket/a/*.x"))
			env := connectortest.Env(objectstore.Prefixed(b, "a/"))
			splits, err := s.Splits(t.Context(), env)
			if err != nil {
				t.Fatal(err)
			}
			if len(splits) != 2 || splits[0].ID != "mem://bucket/a/1.x" || splits[1].ID != "mem://bucket/a/2.x" {
				t.Fatalf("splits %v", splits)
			}
			connectortest.Source(t, connectortest.SourceConfig[row]{Source: s, Env: env, Runs: 3})
		})
	}
}

func TestFromTheDisk(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.csv")
	if err := os.WriteFile(path, content(t, "csv", rows(10)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "b.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, location := range []string{path, filepath.Join(dir, "*.csv"), "file://" + filepath.ToSlash(path)} {
		if got, _ := readAll(t, files.CSV[row](location), connector.Env{}); len(got.Values) != 10 {
			t.Errorf("%s: %d rows", location, len(got.Values))
		}
	}
}

func TestLines(t *testing.T) {
	s := files.Lines("x")
	s.FS = fstest.MapFS{"x": {Data: []byte("\ufeffa\n\nb\r\n" + strings.Repeat("y", 1<<20+1) + "\nlast")}}
	got, bad, err := read(t, s, connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Values, []string{"a", "", "b", "last"}) {
		t.Errorf("got %q", got.Values)
	}
	if len(bad) != 1 || bad[0].Where != "row 3 (byte 9)" || len(bad[0].Raw) != 4096 {
		t.Errorf("%d bad rows, the first at %s", len(bad), bad[0].Where)
	}
}

func TestBadRows(t *testing.T) {
	for _, c := range []struct {
		name, text string
		ids        []int64
		where      []string
	}{
		{"csv number", "id,name,at\n1,a,1\nx,b,2\n3,c,3\n", []int64{1, 3}, []string{"row 1 (byte 17)"}},
		{"csv columns", "id,name,at\n1,a,1\n2,b\n3,c,3,4\n4,d,4\n", []int64{1, 4}, []string{"row 1 (byte 17)", "row 2 (byte 21)"}},
		{"csv bare quote", "id,name,at\n1,a\"b\"c,1\n2,b,2\n", []int64{2}, []string{"row 0 (byte 11)"}},
		{"csv open quote", "id,name,at\n1,\"a,1\n2,b,2\n3,c,3\n", []int64{2, 3}, []string{"row 0 (byte 11)"}},
		{"csv line break", "id,name,at\n1,\"a\nb\",1\n2,b,2\n", []int64{1, 2}, nil},
		{"jsonl", "{\"id\":1}\n{\"id\":\n{\"id\":\"x\"}\n{\"id\":4}\n", []int64{1, 4}, []string{"row 1 (byte 9)", "row 2 (byte 16)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			format, _, _ := strings.Cut(c.name, " ")
			s := formats[format]("x")
			s.FS = fstest.MapFS{"x": {Data: []byte(c.text)}}
			got, bad := readAll(t, s, connector.Env{})
			var ids []int64
			for _, v := range got.Values {
				ids = append(ids, v.ID)
			}
			var where []string
			for _, b := range bad {
				where = append(where, b.Where)
				if b.Error == "" || len(b.Raw) == 0 || b.Split != "x" {
					t.Errorf("bad record %+v", b)
				}
			}
			if !slices.Equal(ids, c.ids) || !slices.Equal(where, c.where) {
				t.Errorf("got rows %v and bad ones at %q, want %v and %q", ids, where, c.ids, c.where)
			}
		})
	}
}

func TestManyBadRowsAreHandedOutInTurn(t *testing.T) {
	s := files.JSONLines[row]("x")
	s.FS = fstest.MapFS{"x": {Data: []byte(strings.Repeat("bad\n", 1000) + "{}\n")}}
	splits, err := s.Splits(t.Context(), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), connector.Env{}, splits[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	var got connector.Records[row]
	total := 0
	for err == nil {
		_, err = r.Next(t.Context(), 1024, &got)
		n := len(r.(connector.BadRecords).TakeBad())
		if total += n; n > 64 {
			t.Fatalf("%d bad rows at once", n)
		}
	}
	if err != io.EOF || total != 1000 || len(got.Values) != 1 {
		t.Errorf("%d bad rows and %d good ones, %v", total, len(got.Values), err)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	whole := content(t, "parquet", rows(300))
	torn := bytes.Clone(whole)
	for i := 100; i < 2000; i++ {
		torn[i] ^= 0x5a
	}
	for _, c := range []struct {
		name, format string
		data         []byte
		mention      string
	}{
		{"no parquet", "parquet", []byte("id,name\n1,a\n"), "not a whole Parquet file"},
		{"half a parquet", "parquet", whole[:len(whole)/2], "not a whole Parquet file"},
		{"torn parquet", "parquet", torn, ""},
		{"other columns", "parquet", content(t, "parquet", nil)[:0], "not a whole Parquet file"},
		{"empty csv", "csv", nil, "no header"},
		{"csv without a column", "csv", []byte("id,at\n1,2\n"), `no column "name"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := formats[c.format]("dir/bad.file")
			s.FS = fstest.MapFS{"dir/bad.file": {Data: c.data}}
			_, _, err := read(t, s, connector.Env{})
			if !errors.Is(err, files.ErrFormat) || !strings.Contains(err.Error(), "dir/bad.file") || !strings.Contains(err.Error(), c.mention) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestChangedFiles(t *testing.T) {
	for format, source := range formats {
		data := content(t, format, rows(20))
		fsys := fstest.MapFS{"x": {Data: data}}
		s := source("x")
		s.FS = fsys
		splits, err := s.Splits(t.Context(), connector.Env{})
		if err != nil {
			t.Fatal(err)
		}
		fsys["x"] = &fstest.MapFile{Data: data[:len(data)-3]}
		if _, err := s.Open(t.Context(), connector.Env{}, splits[0], nil); !errors.Is(err, files.ErrChanged) {
			t.Errorf("%s: a file that shrank: %v", format, err)
		}
		fsys["x"] = &fstest.MapFile{Data: append(bytes.Clone(data), data...)}
		r, err := s.Open(t.Context(), connector.Env{}, splits[0], nil)
		if format == "parquet" {
			if !errors.Is(err, files.ErrChanged) {
				t.Errorf("a Parquet file that grew: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var got connector.Records[row]
		if _, err := r.Next(t.Context(), 1000, &got); err != io.EOF || len(got.Values) != 20 {
			t.Errorf("%s: of a file that grew: %d rows, %v", format, len(got.Values), err)
		}
	}
}

func TestNoFile(t *testing.T) {
	for _, location := range []string{filepath.Join(t.TempDir(), "*.csv"), "/does/not/exist"} {
		_, err := files.CSV[row](location).Splits(t.Context(), connector.Env{})
		if !errors.Is(err, files.ErrNoFile) || !strings.Contains(err.Error(), location) {
			t.Errorf("%s: %v", location, err)
		}
	}
}
