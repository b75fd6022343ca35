package filesink_test

import (
	"bytes"
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/connectortest"
	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
)

func decodeCSV(data []byte) (all []record, err error) {
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, row := range rows[1:] {
		subtask, _ := strconv.Atoi(row[0])
		n, err := strconv.Atoi(row[1])
		if err != nil {
			return nil, err
		}
		all = append(all, record{subtask, n, row[2]})
	}
	return all, nil
}

func decodeParquet(data []byte) ([]record, error) {
	return parquet.Read[record](bytes.NewReader(data), int64(len(data)))
}

// write returns the only part that a sink makes of the values.
func write[T any](t *testing.T, s *filesink.Sink[T], values ...T) string {
	t.Helper()
	b := mem.New()
	env := connectortest.Env(b)
	w, err := s.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(values, make([]int64, len(values))); err != nil {
		t.Fatal(err)
	}
	finish, err := w.Prepare(1)
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), env, []snapshot.Transaction{{Checkpoint: 1, Attempt: 1, Payload: payloads[0]}}); err != nil {
		t.Fatal(err)
	}
	var out []byte
	err = filesink.ReadCommitted(t.Context(), b, env.Job, env.UID, func(_ filesink.Part, r io.Reader) (err error) {
		out, err = io.ReadAll(r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

type kinds struct {
	S    string     `csv:"s"`
	B    bool       `csv:"b"`
	I    int8       `csv:"i"`
	U    uint16     `csv:"u"`
	F    float64    `csv:"f"`
	T    time.Time  `csv:"t"`
	P    *int       `csv:"p"`
	Q    *time.Time `csv:"q"`
	Skip []int      `csv:"-"`
	own  int
}

func TestCSVKinds(t *testing.T) {
	seven, at := 7, time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC)
	got := write(t, filesink.CSV[kinds]("mem://x"), kinds{"a,b", true, -3, 4, 0.5, at, &seven, nil, nil, 1})
	want := "s,b,i,u,f,t,p,q\n\"a,b\",true,-3,4,0.5,2001-02-03T04:05:06.000007Z,7,\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

type own struct{ text string }

func (o own) AppendJSON(dst []byte) ([]byte, error) { return append(dst, o.text...), nil }

func TestOwnJSON(t *testing.T) {
	if got := write(t, filesink.JSONLines[own]("mem://x"), own{"{1}"}, own{"{2}"}); got != "{1}\n{2}\n" {
		t.Errorf("got %q", got)
	}
	w, err := filesink.JSONLines[own]("mem://x").Open(t.Context(), connectortest.Env(mem.New()))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]own{{"a\nb"}}, []int64{0}); err == nil || !strings.Contains(err.Error(), "line break") {
		t.Errorf("a line break inside of a line: %v", err)
	}
}

func TestRecordsThatFitNoFormat(t *testing.T) {
	env := connectortest.Env(mem.New())
	for name, sink := range map[string]connector.Sink[func()]{
		"csv":     filesink.CSV[func()]("mem://x"),
		"parquet": filesink.Parquet[func()]("mem://x"),
	} {
		if _, err := sink.Open(t.Context(), env); err == nil {
			t.Errorf("%s opens", name)
		}
	}
}
