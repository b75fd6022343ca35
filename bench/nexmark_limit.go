package bench

import (
	"math"
	"runtime"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
)

// limits are what one core of the machine can do with the events of a query, in plain loops.
type limits struct {
	generation float64 // nanoseconds, to make an event
	event      float64 // to make one and do what no engine can leave out
}

const (
	limitEvents = 1_000_000
	limitTurns  = 3
	// limitSlots is the size of the table that is updated: about as many keys as there
	// are auctions in a window, in lines of the cache.
	limitSlots = 1 << 16
)

// measureLimits takes the best of some turns: what disturbs makes a loop slower only.
func measureLimits(g nexmark.Generator, query string) limits {
	l := limits{math.Inf(1), math.Inf(1)}
	var floor plainWork
	for range limitTurns {
		l.generation = min(l.generation, perEvent(g, func(*nexmark.Event) {}))
		l.event = min(l.event, perEvent(g, floor.of(query)))
	}
	return l
}

// perEvent is the CPU time in nanoseconds that making an event and doing work with it takes.
func perEvent(g nexmark.Generator, work func(*nexmark.Event)) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var e nexmark.Event
	before := threadCPU()
	for n := range int64(limitEvents) {
		g.Event(n, &e)
		work(&e)
	}
	return float64(threadCPU()-before) / limitEvents
}

// plainWork is what has to be done with an event at least: one that makes a row is copied into a
// batch; one that moves by a key is copied in small, its key is hashed, and a slot of a table is
// updated. Nothing has to be done with what a query drops, but to look at it.
type plainWork struct {
	batch []nexmark.Bid
	small [][4]int64
	key   [8]byte
	slots [limitSlots][8]int64
	best  int64
}

// of is the work for an event of a query.
func (w *plainWork) of(query string) func(*nexmark.Event) {
	switch query {
	case "q0", "q1", "q13", "q22":
		return w.copied
	case "q2":
		return w.chosen
	case "q3", "q8":
		return w.sellers
	case "q7":
		return w.highest
	}
	return w.bids
}

func (w *plainWork) copied(e *nexmark.Event) {
	if e.Kind != nexmark.KindBid {
		return
	}
	if w.batch = append(w.batch, e.Bid); len(w.batch) == batchRows {
		w.batch = w.batch[:0]
	}
}

// chosen is for q2, which drops most bids.
func (w *plainWork) chosen(e *nexmark.Event) {
	if e.Kind == nexmark.KindBid && e.Bid.Auction%123 == 0 {
		w.copied(e)
	}
}

// highest is for q7, of whose bids few may be the highest.
func (w *plainWork) highest(e *nexmark.Event) {
	if e.Kind == nexmark.KindBid && e.Bid.Price > w.best {
		w.best = e.Bid.Price
		w.copied(e)
	}
}

// sellers is for q3 and q8, which drop all bids.
func (w *plainWork) sellers(e *nexmark.Event) {
	switch e.Kind {
	case nexmark.KindPerson:
		w.keyed(e.Person.ID, [4]int64{e.Person.ID, e.Person.DateTime})
	case nexmark.KindAuction:
		w.keyed(e.Auction.Seller, [4]int64{e.Auction.ID, e.Auction.Seller, e.Auction.DateTime})
	}
}

// bids is for queries that move each bid.
func (w *plainWork) bids(e *nexmark.Event) {
	if b := &e.Bid; e.Kind == nexmark.KindBid {
		w.keyed(b.Auction, [4]int64{b.Auction, b.Bidder, b.Price, b.DateTime})
	}
}

func (w *plainWork) keyed(key int64, small [4]int64) {
	if w.small = append(w.small, small); len(w.small) == batchRows {
		w.small = w.small[:0]
	}
	for i := range w.key {
		w.key[i] = byte(key >> (8 * i))
	}
	slot := &w.slots[dataflow.KeyHash(w.key[:])%limitSlots]
	slot[0] += small[2]
	slot[1]++
}
