package nexmark

import (
	"fmt"
	"strconv"
)

// BaseTime is the event time of the first event: 14 November 2023, 22:13:20 UTC.
const BaseTime int64 = 1_700_000_000_000

// DefaultEventRate is how many events there are in a second of event time.
const DefaultEventRate = 100_000

// The shares of the kinds in a round of 50 events.
const (
	round         = 50
	roundPersons  = 1
	roundAuctions = 3
)

// The identifiers of the first of each. Bidders lie firstPerson above the ids of persons,
// since the original adds it twice, and its published results do too.
const (
	firstPerson   = 1000
	firstAuction  = 1000
	firstCategory = 10
	categories    = 5
)

// How unevenly people behave: of n choices all but one fall on a hot one, and
// of a hundred ids one is hot.
const (
	hotAuctionRatio = 2
	hotSellerRatio  = 4
	hotBidderRatio  = 4
	hotEvery        = 100
)

// How many are in play at a time, and how far ids are used ahead.
const (
	activePersons    = 1000
	personLead       = 10
	inFlightAuctions = 100
	auctionLead      = 10
)

// The average sizes of rows in bytes, as the original counts them.
const (
	personBytes  = 200
	auctionBytes = 500
	bidBytes     = 100
)

// Generator makes events. It holds configuration only.
type Generator struct {
	Seed uint64
	// EventRate is the number of events in a second of event time. Default DefaultEventRate.
	EventRate int64
	// OutOfOrder is the size of the groups of events within which order is mixed up.
	// Default 1: in order.
	OutOfOrder int64
}

func (g Generator) rate() int64 {
	if g.EventRate > 0 {
		return g.EventRate
	}
	return DefaultEventRate
}

// number is the event that is made n-th: n itself, or another one of its group.
func (g Generator) number(n int64) int64 {
	size := g.OutOfOrder
	if size <= 1 {
		return n
	}
	return n/size*size + n*953%size
}

// Time is the event time of event n in Unix milliseconds.
func (g Generator) Time(n int64) int64 { return BaseTime + g.number(n)*1000/g.rate() }

// Event makes the n-th event, counted from 0.
func (g Generator) Event(n int64, e *Event) {
	id := g.number(n)
	r := seeded(g.Seed, id)
	at := BaseTime + id*1000/g.rate()
	switch slot := id % round; {
	case slot < roundPersons:
		*e = Event{Kind: KindPerson, Person: g.person(id, at, &r)}
	case slot < roundPersons+roundAuctions:
		*e = Event{Kind: KindAuction, Auction: g.auction(id, at, &r)}
	default:
		e.Kind, e.Person, e.Auction = KindBid, nil, nil
		g.bid(id, at, &r, &e.Bid)
	}
}

// lastPerson is the newest person at event id, counted from 0.
func lastPerson(id int64) int64 { return id / round }

// lastAuction is the newest auction at event id, counted from 0; -1 before the first.
func lastAuction(id int64) int64 {
	slot := id % round
	return id/round*roundAuctions + min(max(slot-roundPersons, -1), roundAuctions-1)
}

func (g Generator) person(id, at int64, r *random) *Person {
	p := &Person{ID: firstPerson + lastPerson(id), DateTime: at}
	first, last := firstNames[r.below(int64(len(firstNames)))], lastNames[r.below(int64(len(lastNames)))]
	p.Name = first + " " + last
	p.Email = r.textUpTo(7) + "@" + r.textUpTo(5) + ".com"
	p.CreditCard = creditCard(r)
	p.City, p.State = cities[r.below(int64(len(cities)))], states[r.below(int64(len(states)))]
	p.Extra = r.extra(int64(8+len(p.Name)+len(p.Email)+len(p.CreditCard)+len(p.City)+len(p.State)+8), personBytes)
	return p
}

// creditCard is four groups of four digits.
func creditCard(r *random) string {
	b := make([]byte, 0, 19)
	for i := range 4 {
		if i > 0 {
			b = append(b, ' ')
		}
		for n := 1000; n > 0; n /= 10 {
			b = append(b, byte('0'+r.below(10)))
		}
	}
	return string(b)
}

func (g Generator) auction(id, at int64, r *random) *Auction {
	a := &Auction{ID: firstAuction + lastAuction(id), DateTime: at}
	a.Seller = firstPerson
	if r.below(hotSellerRatio) > 0 {
		a.Seller += lastPerson(id) / hotEvery * hotEvery
	} else {
		a.Seller += nextPerson(id, r)
	}
	a.Category = firstCategory + r.below(categories)
	a.InitialBid = r.price()
	a.Reserve = a.InitialBid + r.price()
	a.Expires = at + g.auctionLength(id, at, r)
	a.ItemName, a.Description = r.textUpTo(20), r.textUpTo(100)
	a.Extra = r.extra(int64(8+len(a.ItemName)+len(a.Description)+8*6), auctionBytes)
	return a
}

// auctionLength is between 1 ms and twice the time until so many auctions later as are in flight.
func (g Generator) auctionLength(id, at int64, r *random) int64 {
	until := BaseTime + (id+inFlightAuctions*round/roundAuctions)*1000/g.rate() - at
	return 1 + r.below(max(2*until, 1))
}

// nextPerson is one of those who are active, or who will come soon.
func nextPerson(id int64, r *random) int64 {
	last := lastPerson(id)
	active := min(last+1, activePersons)
	return last + 1 - active + r.below(active+personLead)
}

func (g Generator) bid(id, at int64, r *random, b *Bid) {
	*b = Bid{Auction: firstAuction, Bidder: 2 * firstPerson, DateTime: at}
	last := max(lastAuction(id), 0)
	if r.below(hotAuctionRatio) > 0 {
		b.Auction += last / hotEvery * hotEvery
	} else {
		oldest := max(last-inFlightAuctions, 0)
		b.Auction += oldest + r.below(last-oldest+1+auctionLead)
	}
	if r.below(hotBidderRatio) > 0 {
		b.Bidder += lastPerson(id)/hotEvery*hotEvery + 1
	} else {
		b.Bidder += nextPerson(id, r)
	}
	b.Price = r.price()
	if r.below(2) > 0 {
		i := r.below(int64(len(hotChannels)))
		b.Channel, b.URL = hotChannels[i], hotURLs[i]
	} else {
		i := r.below(channelCount)
		b.Channel, b.URL = channels[i], channelURLs[i]
	}
	b.Extra = r.extra(8*4, bidBytes)
}

// String is an event for people.
func (e *Event) String() string {
	switch e.Kind {
	case KindPerson:
		return fmt.Sprintf("person %+v", *e.Person)
	case KindAuction:
		return fmt.Sprintf("auction %+v", *e.Auction)
	case KindBid:
		return fmt.Sprintf("bid %+v", e.Bid)
	}
	return "event of kind " + strconv.Itoa(int(e.Kind))
}
