// Package answertest makes exports of events and results by hand, for tests.
package answertest

import (
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"
)

// Person is a row of person.parquet.
type Person struct {
	ID         int64  `parquet:"id"`
	Name       string `parquet:"name"`
	Email      string `parquet:"email_address"`
	CreditCard string `parquet:"credit_card"`
	City       string `parquet:"city"`
	State      string `parquet:"state"`
	DateTime   int64  `parquet:"date_time"`
	Extra      string `parquet:"extra"`
}

// Auction is a row of auction.parquet.
type Auction struct {
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

// Bid is a row of bid.parquet.
type Bid struct {
	Auction  int64  `parquet:"auction"`
	Bidder   int64  `parquet:"bidder"`
	Price    int64  `parquet:"price"`
	Channel  string `parquet:"channel"`
	URL      string `parquet:"url"`
	DateTime int64  `parquet:"date_time"`
	Extra    string `parquet:"extra"`
}

// World is what happened in a test.
type World struct {
	Persons  []Person
	Auctions []Auction
	Bids     []Bid
}

// Export writes the events of a world into a folder, as a run does.
func (w World) Export(dir string) error {
	if err := Write(filepath.Join(dir, "person.parquet"), w.Persons); err != nil {
		return err
	}
	if err := Write(filepath.Join(dir, "auction.parquet"), w.Auctions); err != nil {
		return err
	}
	return Write(filepath.Join(dir, "bid.parquet"), w.Bids)
}

// Write makes a Parquet file, and its folder.
func Write[T any](path string, rows []T) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return parquet.WriteFile(path, rows)
}
