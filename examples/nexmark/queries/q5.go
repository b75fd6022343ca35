package queries

import (
	"time"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q5Row is a row of q5.
type Q5Row struct {
	Auction   int64 `parquet:"auction"`
	Num       int64 `parquet:"num"`
	StartTime int64 `parquet:"starttime"`
	EndTime   int64 `parquet:"endtime"`
}

const (
	q5Size  = 10 * time.Second
	q5Slide = 2 * time.Second
)

// Q5 finds the auctions with the most bids in the last 10 seconds, every 2 seconds.
//
//	SELECT c.auction, c.num, c.window_start AS starttime, c.window_end AS endtime
//	FROM (SELECT auction, COUNT(*) AS num, window_start, window_end
//	      FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
//	      GROUP BY auction, window_start, window_end) c
//	JOIN (SELECT MAX(num) AS num, window_start, window_end FROM (… the same …)
//	      GROUP BY window_start, window_end) m
//	ON c.window_start = m.window_start AND c.window_end = m.window_end AND c.num >= m.num
//
// The counts of a window all meet in one place, so each subtask first drops those that are
// lower than one that it has passed on already.
func Q5(events stream.Stream[nexmark.Event]) stream.Stream[Q5Row] {
	auctions := stream.FlatMap(events, "auctions", func(e nexmark.Event, emit func(int64)) {
		if e.Kind == nexmark.KindBid {
			emit(e.Bid.Auction)
		}
	})
	byAuction := stream.KeyBy(auctions, func(auction int64) int64 { return auction })
	bids := stream.Window(byAuction, "bids", stream.Sliding(q5Size, q5Slide), counts, stream.UID("bids"))
	candidates := stream.Apply(bids, "candidates", func() stream.Function[stream.WindowResult[int64, int64], Q5Row] { return &highCounts{} }, stream.UID("candidates"))
	byWindow := stream.KeyBy(candidates, func(r Q5Row) int64 { return r.EndTime })
	windows := stream.Window(byWindow, "hottest", stream.Tumbling(q5Slide), hottest, stream.UID("hottest"))
	return stream.FlatMap(windows, "rows", func(w stream.WindowResult[int64, []Q5Row], emit func(Q5Row)) {
		for _, r := range w.Value {
			emit(r)
		}
	})
}

// hottest keeps those with the highest count so far.
var hottest = stream.Aggregate[Q5Row, []Q5Row, []Q5Row]{
	Init: func() []Q5Row { return nil },
	Add: func(best []Q5Row, r Q5Row) []Q5Row {
		switch {
		case len(best) == 0 || r.Num > best[0].Num:
			return []Q5Row{r}
		case r.Num == best[0].Num:
			return append(best, r)
		}
		return best
	},
	Result: func(best []Q5Row) []Q5Row { return best },
}

// highCounts passes on the counts that may be the highest of their window.
type highCounts struct{ best candidates }

// Open has nothing to do: what it has seen is only to save work, and need not survive.
func (*highCounts) Open(*stream.Setup) error { return nil }

func (h *highCounts) Process(out *stream.Emitter[Q5Row], w stream.WindowResult[int64, int64]) error {
	if h.best.may(w.End/q5Slide.Milliseconds(), w.Value) {
		out.Emit(Q5Row{w.Key, w.Value, w.Start, w.End})
	}
	return nil
}

// Digest implements Row.
func (r Q5Row) Digest() Digest {
	return hash(5).int(r.Auction).int(r.Num).int(r.StartTime).int(r.EndTime).once()
}
