package queries

import (
	"math"
	"time"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q12Row is a row of q12.
type Q12Row struct {
	Bidder    int64 `parquet:"bidder"`
	BidCount  int64 `parquet:"bid_count"`
	StartTime int64 `parquet:"starttime"`
	EndTime   int64 `parquet:"endtime"`
}

const q12Size = 10 * time.Second

// Q12 counts the bids of each bidder in every 10 seconds of the clock. What it emits
// depends on when it runs; each bidder's counts always have the same sum.
//
//	SELECT bidder, COUNT(*) AS bid_count, window_start AS starttime, window_end AS endtime
//	FROM TABLE(TUMBLE(TABLE (SELECT *, PROCTIME() AS p_time FROM bid), DESCRIPTOR(p_time), INTERVAL '10' SECOND))
//	GROUP BY bidder, window_start, window_end
func Q12(events stream.Stream[nexmark.Event]) stream.Stream[Q12Row] {
	bidders := stream.FlatMap(events, "bidders", func(e nexmark.Event, emit func(int64)) {
		if e.Kind == nexmark.KindBid {
			emit(e.Bid.Bidder)
		}
	})
	byBidder := stream.KeyBy(bidders, func(bidder int64) int64 { return bidder })
	return stream.Process(byBidder, "count", func() stream.Processor[int64, int64, Q12Row] { return &clockCount{} }, stream.UID("count"))
}

// clockCount counts a bidder's bids until the window ends in which the first of them came.
type clockCount struct {
	open *stream.Value[openCount]

	now    int64 // of the record, by the clock
	opened bool  // what add found
	add    func(c *openCount, existed bool)
}

// openCount is the window that is open for a bidder.
type openCount struct{ Bids, End int64 }

func (c *clockCount) Open(s *stream.Setup) error {
	c.open = stream.ValueState[openCount](s, "open")
	c.add = func(o *openCount, existed bool) {
		if c.opened = !existed; c.opened {
			size := q12Size.Milliseconds()
			o.End = c.now - c.now%size + size
		}
		o.Bids++
	}
	return nil
}

// Process counts a bid. The window's end is when its timer fires, so that no bid falls
// between two windows.
func (c *clockCount) Process(ctx *stream.Context[int64, Q12Row], _ int64) error {
	c.now = ctx.ProcessingTime()
	if err := c.open.Update(c.add); err != nil || !c.opened {
		return err
	}
	size := q12Size.Milliseconds()
	ctx.SetProcessingTimer(c.now-c.now%size+size, "")
	ctx.SetTimer(atTheEnd, "")
	return nil
}

// atTheEnd is when event time ends, after the last event: the clock's windows that are
// still open then would be lost.
const atTheEnd = math.MaxInt64 - 1

// OnTimer emits the count of a window that has ended, or that nothing will come to.
func (c *clockCount) OnTimer(ctx *stream.Context[int64, Q12Row], _ stream.Timer) error {
	o, ok, err := c.open.Get()
	if err != nil || !ok {
		return err // the other timer was first
	}
	c.open.Clear()
	ctx.Emit(Q12Row{ctx.Key(), o.Bids, o.End - q12Size.Milliseconds(), o.End})
	return nil
}

// Digest implements Row: it is the same however a bidder's bids are spread over windows.
func (r Q12Row) Digest() Digest {
	return Digest{Sum: hash(12).int(r.Bidder).mixed() * uint64(r.BidCount)}
}
