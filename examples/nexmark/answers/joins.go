package answers

import (
	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
)

func q3(in *input) (a Answer) {
	people := map[int64]*nexmark.Person{}
	waiting := map[int64][]int64{} // auctions of sellers that come later
	row := func(p *nexmark.Person, auction int64) {
		a.add(queries.Q3Row{Name: p.Name, City: p.City, State: p.State, ID: auction})
	}
	in.each(func(e *nexmark.Event) {
		switch p, o := e.Person, e.Auction; {
		case p != nil && (p.State == "OR" || p.State == "ID" || p.State == "CA"):
			people[p.ID] = p
			for _, auction := range waiting[p.ID] {
				row(p, auction)
			}
		case o != nil && o.Category == 10 && people[o.Seller] != nil:
			row(people[o.Seller], o.ID)
		case o != nil && o.Category == 10:
			waiting[o.Seller] = append(waiting[o.Seller], o.ID)
		}
	})
	return a
}

// q4 goes over the events twice, since bids may come before their auctions.
func q4(in *input) (a Answer) {
	type open struct{ category, from, to, highest int64 }
	auctions := map[int64]*open{}
	in.each(func(e *nexmark.Event) {
		if o := e.Auction; o != nil {
			auctions[o.ID] = &open{o.Category, o.DateTime, o.Expires, 0}
		}
	})
	in.bids(func(b *nexmark.Bid) {
		if o := auctions[b.Auction]; o != nil && b.DateTime >= o.from && b.DateTime <= o.to {
			o.highest = max(o.highest, b.Price)
		}
	})
	sums, counts := map[int64]int64{}, map[int64]int64{}
	for _, o := range auctions {
		if o.highest > 0 {
			sums[o.category] += o.highest
			counts[o.category]++
		}
	}
	for category, n := range counts {
		a.add(queries.Q4Row{Category: category, Average: sums[category] / n, Auctions: n})
	}
	return a
}

func q8(in *input) (a Answer) {
	const size = 10_000
	people := map[int64]*nexmark.Person{}
	sold := map[[2]int64]bool{} // seller and start of the window
	in.each(func(e *nexmark.Event) {
		if e.Person != nil {
			people[e.Person.ID] = e.Person
		}
		if o := e.Auction; o != nil {
			sold[[2]int64{o.Seller, o.DateTime - o.DateTime%size}] = true
		}
	})
	for s := range sold {
		if p := people[s[0]]; p != nil && p.DateTime-p.DateTime%size == s[1] {
			a.add(queries.Q8Row{ID: p.ID, Name: p.Name, StartTime: s[1]})
		}
	}
	return a
}
