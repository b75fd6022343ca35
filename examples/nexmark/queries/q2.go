package queries

import (
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q2Row is a row of q2.
type Q2Row struct {
	Auction int64 `parquet:"auction"`
	Price   int64 `parquet:"price"`
}

// chosen is which auctions q2 is about: every 123rd.
const chosen = 123

// Q2 chooses the bids for some auctions.
//
//	SELECT auction, price FROM bid WHERE auction % 123 = 0
func Q2(events stream.Stream[nexmark.Event]) stream.Stream[Q2Row] {
	return stream.FlatMap(events, "some bids", func(e nexmark.Event, emit func(Q2Row)) {
		if e.Kind == nexmark.KindBid && e.Bid.Auction%chosen == 0 {
			emit(Q2Row{e.Bid.Auction, e.Bid.Price})
		}
	})
}

// Digest implements Row.
func (r Q2Row) Digest() Digest { return hash(2).int(r.Auction).int(r.Price).once() }
