// Package nexmark makes the events of the Nexmark benchmark: what happens in an auction
// house, made up from a seed.
//
// The generator follows github.com/nexmark/nexmark with its standard
// parameters, and differs where that one can't be repeated: an event depends on
// the seed and its own number alone, event time begins at a fixed moment and
// follows the event rate instead of the wall clock, and the number of splits is fixed, so
// that the same seed gives the same events at any parallelism.
//
//	model.go      what happens in the auction house
//	generator.go  event number to event
//	random.go     numbers and strings from a seed
//	source.go     the events as a source of a job
package nexmark

// Kind is what an event is about.
type Kind uint8

// The kinds of events. Of 50 consecutive events 1 is a new person, 3 are new
// auctions and 46 are bids.
const (
	KindPerson Kind = iota
	KindAuction
	KindBid
)

// Event is something that happened. Exactly one of its parts is set, by Kind.
// Bids, which are 92 % of all events, lie in it; the others are pointed to.
type Event struct {
	Kind    Kind
	Bid     Bid
	Person  *Person
	Auction *Auction
}

// Person is somebody who has come to sell or to buy.
type Person struct {
	ID         int64
	Name       string
	Email      string
	CreditCard string
	City       string
	State      string
	DateTime   int64 // Unix milliseconds
	Extra      string
}

// Auction is an offer of a thing.
type Auction struct {
	ID          int64
	ItemName    string
	Description string
	InitialBid  int64 // cents
	Reserve     int64 // cents
	DateTime    int64 // Unix milliseconds
	Expires     int64 // Unix milliseconds
	Seller      int64 // a person's ID
	Category    int64
	Extra       string
}

// Bid is an offer for the thing of an auction. Its auction may come later than
// the bid: auctions are announced ahead.
type Bid struct {
	Auction  int64
	Bidder   int64
	Price    int64 // cents
	Channel  string
	URL      string
	DateTime int64 // Unix milliseconds
	Extra    string
}
