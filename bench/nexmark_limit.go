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

// stateless are the queries that neither move records by a key nor keep any state.
var stateless = map[string]bool{"q0": true, "q1": true, "q2": true, "q13": true, "q22": true}

// measureLimits takes the best of some turns: what disturbs makes a loop slower only.
func measureLimits(g nexmark.Generator, query string) limits {
	l := limits{math.Inf(1), math.Inf(1)}
	var floor plainWork
	for range limitTurns {
		l.generation = min(l.generation, perEvent(g, func(*nexmark.Event) {}))
		work := floor.keyed
		if stateless[query] {
			work = floor.copied
		}
		l.event = min(l.event, perEvent(g, work))
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

// plainWork is what has to be done with an event at least: a bid is copied into a batch; if
// records move by a key, the key is hashed, and a slot of a table is updated.
type plainWork struct {
	batch []nexmark.Bid
	small [][4]int64
	key   [8]byte
	slots [limitSlots][8]int64
}

func (w *plainWork) copied(e *nexmark.Event) {
	if e.Kind != nexmark.KindBid {
		return
	}
	if w.batch = append(w.batch, e.Bid); len(w.batch) == batchRows {
		w.batch = w.batch[:0]
	}
}

func (w *plainWork) keyed(e *nexmark.Event) {
	if e.Kind != nexmark.KindBid {
		return
	}
	b := &e.Bid
	if w.small = append(w.small, [4]int64{b.Auction, b.Bidder, b.Price, b.DateTime}); len(w.small) == batchRows {
		w.small = w.small[:0]
	}
	for i := range w.key {
		w.key[i] = byte(b.Auction >> (8 * i))
	}
	slot := &w.slots[dataflow.KeyHash(w.key[:])%limitSlots]
	slot[0] += b.Price
	slot[1]++
}
