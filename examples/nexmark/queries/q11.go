package queries

import (
	"time"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q11Row is a row of q11.
type Q11Row struct {
	Bidder    int64 `parquet:"bidder"`
	BidCount  int64 `parquet:"bid_count"`
	StartTime int64 `parquet:"starttime"`
	EndTime   int64 `parquet:"endtime"`
}

const q11Gap = 10 * time.Second

// Q11 counts the bids of each bidder between two pauses of more than 10 seconds.
//
//	SELECT bidder, COUNT(*) AS bid_count, window_start AS starttime, window_end AS endtime
//	FROM TABLE(SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
//	GROUP BY bidder, window_start, window_end
func Q11(events stream.Stream[nexmark.Event]) stream.Stream[Q11Row] {
	bidders := stream.FlatMap(events, "bidders", func(e nexmark.Event, emit func(int64)) {
		if e.Kind == nexmark.KindBid {
			emit(e.Bid.Bidder)
		}
	})
	byBidder := stream.KeyBy(bidders, func(bidder int64) int64 { return bidder })
	sessions := stream.Window(byBidder, "sessions", stream.Session(q11Gap), counts, stream.UID("sessions"))
	return stream.Map(sessions, "row", func(w stream.WindowResult[int64, int64]) Q11Row {
		return Q11Row{w.Key, w.Value, w.Start, w.End}
	})
}

// counts counts records: what they are does not matter.
var counts = stream.Aggregate[int64, int64, int64]{
	Init:   func() int64 { return 0 },
	Add:    func(n int64, _ int64) int64 { return n + 1 },
	Merge:  func(a, b int64) int64 { return a + b },
	Result: func(n int64) int64 { return n },
}

// Digest implements Row.
func (r Q11Row) Digest() Digest {
	return hash(11).int(r.Bidder).int(r.BidCount).int(r.StartTime).int(r.EndTime).once()
}
