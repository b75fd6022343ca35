package answers

import (
	"strconv"
	"strings"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
)

func q0(in *input) (a Answer) {
	in.bids(func(b *nexmark.Bid) {
		a.add(queries.Q0Row{Auction: b.Auction, Bidder: b.Bidder, Price: b.Price, DateTime: b.DateTime, Extra: b.Extra})
	})
	return a
}

func q1(in *input) (a Answer) {
	in.bids(func(b *nexmark.Bid) {
		a.add(queries.Q1Row{Auction: b.Auction, Bidder: b.Bidder, Price: b.Price * 908, DateTime: b.DateTime, Extra: b.Extra})
	})
	return a
}

func q2(in *input) (a Answer) {
	in.bids(func(b *nexmark.Bid) {
		if b.Auction%123 == 0 {
			a.add(queries.Q2Row{Auction: b.Auction, Price: b.Price})
		}
	})
	return a
}

func q7(in *input) (a Answer) {
	highest, best := map[int64]int64{}, map[int64][]queries.Q7Row{}
	in.bids(func(b *nexmark.Bid) {
		w := b.DateTime / 10_000
		if b.Price > highest[w] {
			highest[w], best[w] = b.Price, nil
		}
		if b.Price == highest[w] {
			best[w] = append(best[w], queries.Q7Row{Auction: b.Auction, Price: b.Price, Bidder: b.Bidder, DateTime: b.DateTime, Extra: b.Extra})
		}
	})
	for _, rows := range best {
		for _, r := range rows {
			a.add(r)
		}
	}
	return a
}

func q12(in *input) Answer {
	bids := map[int64]int64{}
	in.bids(func(b *nexmark.Bid) { bids[b.Bidder]++ })
	a := Answer{}
	for bidder, n := range bids {
		a.add(queries.Q12Row{Bidder: bidder, BidCount: n})
	}
	a.Rows = -1
	return a
}

func q13(in *input) (a Answer) {
	in.bids(func(b *nexmark.Bid) {
		a.add(queries.Q13Row{Auction: b.Auction, Bidder: b.Bidder, Price: b.Price, DateTime: b.DateTime, Value: strconv.FormatInt(b.Auction%10_000, 10)})
	})
	return a
}

func q22(in *input) (a Answer) {
	in.bids(func(b *nexmark.Bid) {
		parts := strings.Split(b.URL, "/")
		a.add(queries.Q22Row{
			Auction: b.Auction, Bidder: b.Bidder, Price: b.Price, Channel: b.Channel, Dir1: parts[3], Dir2: parts[4], Dir3: parts[5],
		})
	})
	return a
}
