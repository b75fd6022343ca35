package answer

import (
	"testing"

	"github.com/cairnstream/cairn/examples/nexmark/oracle/answer/answertest"
)

// The events, by short names.
type (
	world   = answertest.World
	person  = answertest.Person
	auction = answertest.Auction
	bid     = answertest.Bid
)

// load exports the events of a world and loads them.
func load(t *testing.T, w world) *Database {
	t.Helper()
	dir := t.TempDir()
	if err := w.Export(dir); err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// write makes a Parquet file.
func write[T any](t *testing.T, path string, rows []T) {
	t.Helper()
	if err := answertest.Write(path, rows); err != nil {
		t.Fatal(err)
	}
}

// expect computes the right result of a query over a world.
func expect(t *testing.T, w world, query string) *Expected {
	t.Helper()
	e, err := load(t, w).Expected(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// lines lists the right rows as text.
func lines(t *testing.T, e *Expected) []string {
	t.Helper()
	var out []string
	if err := e.eachExpected(t.Context(), func(line []byte) error {
		out = append(out, string(line))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}
