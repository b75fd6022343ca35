package queries

import (
	"time"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q7Row is a row of q7.
type Q7Row struct {
	Auction  int64  `parquet:"auction"`
	Price    int64  `parquet:"price"`
	Bidder   int64  `parquet:"bidder"`
	DateTime int64  `parquet:"date_time"`
	Extra    string `parquet:"extra"`
}

const q7Size = 10 * time.Second

// highest are the bids with the highest price so far, and that price.
type highest struct {
	Price int64
	Bids  []Q7Row
}

// Q7 finds the bids with the highest price in every 10 seconds.
//
//	SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
//	FROM bid b
//	JOIN (SELECT MAX(price) AS price, window_start, window_end
//	      FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
//	      GROUP BY window_start, window_end) m
//	ON b.price = m.price AND b.date_time >= m.window_start AND b.date_time < m.window_end
//
// It works in two steps, since all bids of a window meet in one place: each subtask drops
// those that are lower than one that it has passed on already, which are nearly all.
func Q7(events stream.Stream[nexmark.Event]) stream.Stream[Q7Row] {
	candidates := stream.Apply(events, "candidates", func() stream.Function[nexmark.Event, Q7Row] { return &highBids{} }, stream.UID("candidates"))
	together := stream.KeyBy(candidates, func(Q7Row) int64 { return 0 })
	windows := stream.Window(together, "highest", stream.Tumbling(q7Size), highestBids, stream.UID("highest"))
	return stream.FlatMap(windows, "bids", func(w stream.WindowResult[int64, []Q7Row], emit func(Q7Row)) {
		for _, b := range w.Value {
			emit(b)
		}
	})
}

var highestBids = stream.Aggregate[Q7Row, highest, []Q7Row]{
	Init: func() highest { return highest{} },
	Add: func(h highest, b Q7Row) highest {
		switch {
		case b.Price > h.Price:
			return highest{b.Price, []Q7Row{b}}
		case b.Price == h.Price:
			h.Bids = append(h.Bids, b)
		}
		return h
	},
	Result: func(h highest) []Q7Row { return h.Bids },
}

// highBids passes on the bids that may be the highest of their window.
type highBids struct{ best candidates }

// Open has nothing to do: what it has seen is only to save work, and need not survive.
func (*highBids) Open(*stream.Setup) error { return nil }

func (h *highBids) Process(out *stream.Emitter[Q7Row], e nexmark.Event) error {
	if b := &e.Bid; e.Kind == nexmark.KindBid && h.best.may(b.DateTime/q7Size.Milliseconds(), b.Price) {
		out.Emit(Q7Row{b.Auction, b.Price, b.Bidder, b.DateTime, b.Extra})
	}
	return nil
}

// candidates knows the best value of each of the last windows in one subtask.
type candidates [4]struct{ window, best int64 }

// may tells whether a value may be the best of its window: none better was asked about
// before, as far as is remembered. Windows are numbered in the order of time.
func (c *candidates) may(window, value int64) bool {
	slot := &c[window&3]
	switch {
	case window > slot.window:
		slot.window, slot.best = window, value
	case window == slot.window && value < slot.best:
		return false
	case window == slot.window:
		slot.best = value
	}
	return true
}

// Digest implements Row.
func (r Q7Row) Digest() Digest {
	return hash(7).int(r.Auction).int(r.Price).int(r.Bidder).int(r.DateTime).string(r.Extra).once()
}
