package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

// personRow, auctionRow and bidRow are the columns of exported events. Times are Unix milliseconds,
// prices cents.
type personRow struct {
	ID         int64  `parquet:"id"`
	Name       string `parquet:"name"`
	Email      string `parquet:"email_address"`
	CreditCard string `parquet:"credit_card"`
	City       string `parquet:"city"`
	State      string `parquet:"state"`
	DateTime   int64  `parquet:"date_time"`
	Extra      string `parquet:"extra"`
}

type auctionRow struct {
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

type bidRow struct {
	Auction  int64  `parquet:"auction"`
	Bidder   int64  `parquet:"bidder"`
	Price    int64  `parquet:"price"`
	Channel  string `parquet:"channel"`
	URL      string `parquet:"url"`
	DateTime int64  `parquet:"date_time"`
	Extra    string `parquet:"extra"`
}

// exportEvents writes the events to person.parquet, auction.parquet and bid.parquet in dir,
// in place of what was there.
func exportEvents(dir string, g nexmark.Generator, events int64) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	persons, err1 := newTable[personRow](dir, "person")
	auctions, err2 := newTable[auctionRow](dir, "auction")
	bids, err3 := newTable[bidRow](dir, "bid")
	defer func() { err = errors.Join(err, persons.close(), auctions.close(), bids.close()) }()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	var e nexmark.Event
	for n := range events {
		switch g.Event(n, &e); e.Kind {
		case nexmark.KindPerson:
			err = persons.add(personRow(*e.Person))
		case nexmark.KindAuction:
			err = auctions.add(auctionRow(*e.Auction))
		case nexmark.KindBid:
			err = bids.add(bidRow(e.Bid))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// table is a Parquet file that is being written.
type table[T any] struct {
	file *os.File
	w    *parquet.GenericWriter[T]
	rows []T
}

// tableRows are written at once; exportGroup rows make a row group.
const (
	tableRows   = 1024
	exportGroup = 128 << 10
)

func newTable[T any](dir, name string) (*table[T], error) {
	f, err := os.Create(filepath.Join(dir, name+".parquet"))
	if err != nil {
		return nil, err
	}
	return &table[T]{file: f, w: parquet.NewGenericWriter[T](f, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(exportGroup))}, nil
}

func (t *table[T]) add(row T) error {
	if t.rows = append(t.rows, row); len(t.rows) < tableRows {
		return nil
	}
	return t.flush()
}

func (t *table[T]) flush() error {
	_, err := t.w.Write(t.rows)
	t.rows = t.rows[:0]
	return err
}

// close ends the file. Of a table that could not be opened there is none.
func (t *table[T]) close() error {
	if t == nil {
		return nil
	}
	return errors.Join(t.flush(), t.w.Close(), t.file.Close())
}

// results is where the rows of a run go on their way to the folder that was asked for.
type results struct {
	url string // the sink's; empty: nobody asked
	dir string // the folder of the query
}

// resultsOut makes the job write its rows, if somebody asked for them.
func (b *nexmarkBench) resultsOut(j *queryJob) (*results, error) {
	if b.cfg.ResultsOut == "" {
		return &results{}, nil
	}
	dir, err := filepath.Abs(filepath.Join(b.cfg.ResultsOut, b.cfg.Query))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	j.Rows = "file://" + filepath.Join(b.dir, "rows")
	return &results{j.Rows, dir}, nil
}

// collect copies what the sink has committed into the folder. The sink itself writes below a
// temporary one, where the names of job and operator are.
func (r *results) collect(ctx context.Context, job dataflow.JobID) (err error) {
	if r.url == "" {
		return nil
	}
	b, err := open.Open(ctx, r.url, open.Options{Create: true})
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return r.copy(ctx, b, job)
}

func (r *results) copy(ctx context.Context, b objectstore.Bucket, job dataflow.JobID) error {
	return filesink.ReadCommitted(ctx, b, job, queries.RowsUID, func(p filesink.Part, content io.Reader) error {
		f, err := os.Create(filepath.Join(r.dir, filepath.Base(p.Key)))
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	})
}
