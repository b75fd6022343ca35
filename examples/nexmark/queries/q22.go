package queries

import (
	"strings"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q22Row is a row of q22.
type Q22Row struct {
	Auction int64  `parquet:"auction"`
	Bidder  int64  `parquet:"bidder"`
	Price   int64  `parquet:"price"`
	Channel string `parquet:"channel"`
	Dir1    string `parquet:"dir1"`
	Dir2    string `parquet:"dir2"`
	Dir3    string `parquet:"dir3"`
}

// Q22 takes the directories out of the bids' addresses.
//
//	SELECT auction, bidder, price, channel,
//	       SPLIT_INDEX(url, '/', 3) AS dir1, SPLIT_INDEX(url, '/', 4) AS dir2, SPLIT_INDEX(url, '/', 5) AS dir3
//	FROM bid
func Q22(events stream.Stream[nexmark.Event]) stream.Stream[Q22Row] {
	return stream.FlatMap(events, "addresses", func(e nexmark.Event, emit func(Q22Row)) {
		if b := &e.Bid; e.Kind == nexmark.KindBid {
			dir1, dir2, dir3 := directories(b.URL)
			emit(Q22Row{b.Auction, b.Bidder, b.Price, b.Channel, dir1, dir2, dir3})
		}
	})
}

// directories are the parts 3, 4 and 5 of an address between its slashes, counted from 0.
func directories(url string) (dir1, dir2, dir3 string) {
	for range 3 { // https:, nothing, the host
		_, url, _ = strings.Cut(url, "/")
	}
	dir1, url, _ = strings.Cut(url, "/")
	dir2, url, _ = strings.Cut(url, "/")
	dir3, _, _ = strings.Cut(url, "/")
	return dir1, dir2, dir3
}

// Digest implements Row.
func (r Q22Row) Digest() Digest {
	return hash(22).int(r.Auction).int(r.Bidder).int(r.Price).string(r.Channel).string(r.Dir1).string(r.Dir2).string(r.Dir3).once()
}
