package queries

import (
	"time"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q8Row is a row of q8.
type Q8Row struct {
	ID        int64  `parquet:"id"`
	Name      string `parquet:"name"`
	StartTime int64  `parquet:"starttime"`
}

const q8Size = 10 * time.Second

// newcomer is a person as far as q8 wants to know. A person comes once.
type newcomer struct {
	ID        int64
	Name      string
	StartTime int64 // of the window
}

// Q8 finds those who open an auction within the 10 seconds in which they have come.
//
//	SELECT p.id, p.name, p.starttime
//	FROM (SELECT id, name, window_start AS starttime, window_end AS endtime
//	      FROM TABLE(TUMBLE(TABLE person, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
//	      GROUP BY id, name, window_start, window_end) p
//	JOIN (SELECT seller, window_start AS starttime, window_end AS endtime
//	      FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
//	      GROUP BY seller, window_start, window_end) a
//	ON p.id = a.seller AND p.starttime = a.starttime AND p.endtime = a.endtime
func Q8(events stream.Stream[nexmark.Event]) stream.Stream[Q8Row] {
	newcomers := stream.FlatMap(events, "newcomers", func(e nexmark.Event, emit func(newcomer)) {
		if p := e.Person; e.Kind == nexmark.KindPerson {
			emit(newcomer{p.ID, p.Name, p.DateTime - p.DateTime%q8Size.Milliseconds()})
		}
	})
	sellers := stream.FlatMap(events, "sellers", func(e nexmark.Event, emit func(int64)) {
		if e.Kind == nexmark.KindAuction {
			emit(e.Auction.Seller)
		}
	})
	byID := stream.KeyBy(newcomers, func(n newcomer) int64 { return n.ID })
	bySeller := stream.KeyBy(sellers, func(seller int64) int64 { return seller })
	return stream.WindowJoin(byID, bySeller, "join", stream.Tumbling(q8Size), func(n newcomer, _ int64) Q8Row {
		return Q8Row(n)
	}, stream.FirstMatch(), stream.UID("join"))
}

// Digest implements Row.
func (r Q8Row) Digest() Digest { return hash(8).int(r.ID).string(r.Name).int(r.StartTime).once() }
