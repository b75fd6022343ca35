package queries

import (
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q0Row is a row of q0.
type Q0Row struct {
	Auction  int64  `parquet:"auction"`
	Bidder   int64  `parquet:"bidder"`
	Price    int64  `parquet:"price"`
	DateTime int64  `parquet:"date_time"`
	Extra    string `parquet:"extra"`
}

// Q0 passes bids on: what is measured is everything but the query.
//
//	SELECT auction, bidder, price, date_time, extra FROM bid
func Q0(events stream.Stream[nexmark.Event]) stream.Stream[Q0Row] {
	return stream.FlatMap(events, "bids", func(e nexmark.Event, emit func(Q0Row)) {
		if b := &e.Bid; e.Kind == nexmark.KindBid {
			emit(Q0Row{b.Auction, b.Bidder, b.Price, b.DateTime, b.Extra})
		}
	})
}

// Digest implements Row.
func (r Q0Row) Digest() Digest {
	return hash(0).int(r.Auction).int(r.Bidder).int(r.Price).int(r.DateTime).string(r.Extra).once()
}
