package queries

import (
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q3Row is a row of q3.
type Q3Row struct {
	Name  string `parquet:"name"`
	City  string `parquet:"city"`
	State string `parquet:"state"`
	ID    int64  `parquet:"id"` // the auction's
}

const q3Category = 10

// resident is a person as far as q3 wants to know.
type resident struct {
	ID                int64
	Name, City, State string
}

// offer is an auction as far as q3 wants to know.
type offer struct{ ID, Seller int64 }

// Q3 finds who sells things of a category in some states. There is no limit to how much later
// an auction may come than its seller, so both are remembered for ever.
//
//	SELECT p.name, p.city, p.state, a.id
//	FROM auction a JOIN person p ON a.seller = p.id
//	WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')
func Q3(events stream.Stream[nexmark.Event]) stream.Stream[Q3Row] {
	offers := stream.FlatMap(events, "offers", func(e nexmark.Event, emit func(offer)) {
		if e.Kind == nexmark.KindAuction && e.Auction.Category == q3Category {
			emit(offer{e.Auction.ID, e.Auction.Seller})
		}
	})
	residents := stream.FlatMap(events, "residents", func(e nexmark.Event, emit func(resident)) {
		if p := e.Person; e.Kind == nexmark.KindPerson && (p.State == "OR" || p.State == "ID" || p.State == "CA") {
			emit(resident{p.ID, p.Name, p.City, p.State})
		}
	})
	bySeller := stream.KeyBy(offers, func(o offer) int64 { return o.Seller })
	byID := stream.KeyBy(residents, func(r resident) int64 { return r.ID })
	return stream.Join(bySeller, byID, "join", 0, func(o offer, r resident) Q3Row {
		return Q3Row{r.Name, r.City, r.State, o.ID}
	}, stream.UID("join"))
}

// Digest implements Row.
func (r Q3Row) Digest() Digest {
	return hash(3).string(r.Name).string(r.City).string(r.State).int(r.ID).once()
}
