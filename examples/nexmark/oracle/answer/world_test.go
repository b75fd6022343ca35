package answer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// The events as an export has them.
type person struct {
	ID         int64  `parquet:"id"`
	Name       string `parquet:"name"`
	Email      string `parquet:"email_address"`
	CreditCard string `parquet:"credit_card"`
	City       string `parquet:"city"`
	State      string `parquet:"state"`
	DateTime   int64  `parquet:"date_time"`
	Extra      string `parquet:"extra"`
}

type auction struct {
	ID          int64  `parquet:"id"`
	ItemName    string `parquet:"item_name"`
	Description string `parquet:"description"`
	InitialBid  int64  `parquet:"initial_bid"`
	Reserve     int64  `parquet:"reserve"`
	DateTime    int64  `parquet:"date_time"`
	Expires     int64  `parquet:"expires"`
	Seller      int64  `parquet:"seller"`
	Category    int64  `parquet:"category"`
	Extra       string `parquet:"extra"`
}

type bid struct {
	Auction  int64  `parquet:"auction"`
	Bidder   int64  `parquet:"bidder"`
	Price    int64  `parquet:"price"`
	Channel  string `parquet:"channel"`
	URL      string `parquet:"url"`
	DateTime int64  `parquet:"date_time"`
	Extra    string `parquet:"extra"`
}

// world is what happened in a test.
type world struct {
	persons  []person
	auctions []auction
	bids     []bid
}

// open exports the events of a world and loads them.
func (w world) open(t *testing.T) *Database {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "person.parquet"), w.persons)
	write(t, filepath.Join(dir, "auction.parquet"), w.auctions)
	write(t, filepath.Join(dir, "bid.parquet"), w.bids)
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
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
}

// expect computes the right result of a query over a world.
func (w world) expect(t *testing.T, query string) *Expected {
	t.Helper()
	e, err := w.open(t).Expected(t.Context(), query)
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
