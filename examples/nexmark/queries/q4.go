package queries

import (
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q4Row is a row of q4: what is known of a category so far. Each takes the place of the one
// with the Version before it.
type Q4Row struct {
	Category int64 `parquet:"category"`
	Average  int64 `parquet:"average"`  // of the auctions' highest prices, rounded down
	Auctions int64 `parquet:"auctions"` // that have a bid
	Version  int64 `parquet:"version"`  // counted from 1
}

// sale is an auction as far as q4 wants to know, offerOf a bid.
type (
	sale    struct{ ID, Category, From, To int64 }
	offerOf struct{ Auction, Price, At int64 }
)

// rise is a change of an auction's highest price.
type rise struct {
	Category int64
	By       int64
	Auctions int64 // 1 for the first of an auction
}

// Q4 tells the average of the highest prices of a category's auctions, again whenever it
// changes. A bid counts from when the auction is opened until it expires.
//
//	SELECT category, AVG(final) AS average
//	FROM (SELECT MAX(b.price) AS final, a.category
//	      FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
//	      GROUP BY a.id, a.category)
//	GROUP BY category
func Q4(events stream.Stream[nexmark.Event]) stream.Stream[Q4Row] {
	sales := stream.FlatMap(events, "sales", func(e nexmark.Event, emit func(sale)) {
		if a := e.Auction; e.Kind == nexmark.KindAuction {
			emit(sale{a.ID, a.Category, a.DateTime, a.Expires})
		}
	})
	offers := stream.FlatMap(events, "offers", func(e nexmark.Event, emit func(offerOf)) {
		if e.Kind == nexmark.KindBid {
			emit(offerOf{e.Bid.Auction, e.Bid.Price, e.Bid.DateTime})
		}
	})
	byID := stream.KeyBy(sales, func(s sale) int64 { return s.ID })
	byAuction := stream.KeyBy(offers, func(o offerOf) int64 { return o.Auction })
	rises := stream.CoProcess(byID, byAuction, "highest", func() stream.CoProcessor[int64, sale, offerOf, rise] { return &highestPrice{} }, stream.UID("highest"))
	byCategory := stream.KeyBy(rises, func(r rise) int64 { return r.Category })
	return stream.Process(byCategory, "average", func() stream.Processor[int64, rise, Q4Row] { return &average{} }, stream.UID("average"))
}

// highestPrice follows the highest price of each auction.
type highestPrice struct {
	stream.NoTimers[int64, rise]
	auctions *stream.Value[running]
	// early are the bids that came before their auction: auctions are announced ahead, and
	// streams do not wait for each other.
	early *stream.ListOf[offerOf]

	offer   offerOf // that take takes
	known   bool    // what take found
	changed rise
	take    func(r *running, existed bool)
}

// running is an auction and its highest price so far; 0: it has no bid. Category is 0 as
// long as only bids for it have come.
type running struct{ Category, From, To, Highest int64 }

func (h *highestPrice) Open(s *stream.Setup) error {
	h.auctions = stream.ValueState[running](s, "auctions")
	h.early = stream.ListState[offerOf](s, "early")
	h.take = func(r *running, _ bool) { h.known, h.changed = r.Category != 0, r.raise(h.offer) }
	return nil
}

// raise takes a bid and returns what it changes; nothing if Category is 0.
func (r *running) raise(o offerOf) rise {
	if o.At < r.From || o.At > r.To || o.Price <= r.Highest {
		return rise{}
	}
	change := rise{Category: r.Category, By: o.Price - r.Highest}
	if r.Highest == 0 {
		change.Auctions = 1
	}
	r.Highest = o.Price
	return change
}

// ProcessFirst takes an auction, and the bids that waited for it.
func (h *highestPrice) ProcessFirst(ctx *stream.Context[int64, rise], s sale) error {
	r := running{Category: s.Category, From: s.From, To: s.To}
	early, err := h.early.All()
	if err != nil {
		return err
	}
	for _, o := range early {
		if change := r.raise(o); change.Category != 0 {
			ctx.Emit(change)
		}
	}
	if len(early) > 0 {
		h.early.Clear()
	}
	return h.auctions.Set(r)
}

// ProcessSecond takes a bid.
func (h *highestPrice) ProcessSecond(ctx *stream.Context[int64, rise], o offerOf) error {
	h.offer = o
	if err := h.auctions.Update(h.take); err != nil {
		return err
	}
	if !h.known {
		return h.early.Append(o)
	}
	if h.changed.Category != 0 {
		ctx.Emit(h.changed)
	}
	return nil
}

// average sums up what auctions of a category change.
type average struct {
	stream.NoTimers[int64, Q4Row]
	totals *stream.Value[totals]
}

type totals struct{ Sum, Auctions, Version int64 }

func (a *average) Open(s *stream.Setup) error {
	a.totals = stream.ValueState[totals](s, "totals")
	return nil
}

func (a *average) Process(ctx *stream.Context[int64, Q4Row], r rise) error {
	t, _, err := a.totals.Get()
	if err != nil {
		return err
	}
	t = totals{t.Sum + r.By, t.Auctions + r.Auctions, t.Version + 1}
	ctx.Emit(Q4Row{r.Category, t.Sum / t.Auctions, t.Auctions, t.Version})
	return a.totals.Set(t)
}

// Digest implements Row: a row replaces the one before it of its category.
func (r Q4Row) Digest() Digest {
	return Digest{Sum: hash(4).int(r.Category).int(r.Average).int(r.Auctions).mixed(), Key: r.Category, Version: r.Version}
}
