package queries

import (
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q1Row is a row of q1.
type Q1Row struct {
	Auction int64 `parquet:"auction"`
	Bidder  int64 `parquet:"bidder"`
	// Price is in thousandths of the other currency's cents, so that it is exact: the
	// DECIMAL(23, 3) of the original.
	Price    int64  `parquet:"price"`
	DateTime int64  `parquet:"date_time"`
	Extra    string `parquet:"extra"`
}

// euros is what a thousand dollars are in euros.
const euros = 908

// Q1 changes the bids' prices from dollars into euros.
//
//	SELECT auction, bidder, 908 * price AS price, date_time, extra FROM bid
func Q1(events stream.Stream[nexmark.Event]) stream.Stream[Q1Row] {
	return stream.FlatMap(events, "bids in euros", func(e nexmark.Event, emit func(Q1Row)) {
		if b := &e.Bid; e.Kind == nexmark.KindBid {
			emit(Q1Row{b.Auction, b.Bidder, b.Price * euros, b.DateTime, b.Extra})
		}
	})
}

// Digest implements Row.
func (r Q1Row) Digest() Digest {
	return hash(1).int(r.Auction).int(r.Bidder).int(r.Price).int(r.DateTime).string(r.Extra).once()
}
