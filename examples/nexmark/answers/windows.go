package answers

import (
	"slices"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/examples/nexmark/queries"
)

// q5 counts per 2 s, and adds up five of these for each window.
func q5(in *input) (a Answer) {
	const slide, panes = 2000, 5
	counts := map[int64]map[int64]int64{} // pane, auction
	in.bids(func(b *nexmark.Bid) {
		pane := b.DateTime / slide
		if counts[pane] == nil {
			counts[pane] = map[int64]int64{}
		}
		counts[pane][b.Auction]++
	})
	ends := map[int64]bool{} // panes that come right after a window
	for pane := range counts {
		for i := range int64(panes) {
			ends[pane+1+i] = true
		}
	}
	for end := range ends {
		window := map[int64]int64{}
		for pane := end - panes; pane < end; pane++ {
			for auction, n := range counts[pane] {
				window[auction] += n
			}
		}
		addHottest(&a, window, (end-panes)*slide, end*slide)
	}
	return a
}

func addHottest(a *Answer, window map[int64]int64, start, end int64) {
	most := int64(0)
	for _, n := range window {
		most = max(most, n)
	}
	for auction, n := range window {
		if n == most {
			a.add(queries.Q5Row{Auction: auction, Num: n, StartTime: start, EndTime: end})
		}
	}
}

// q11 sorts each bidder's bids by time, since events may be mixed up.
func q11(in *input) (a Answer) {
	times := map[int64][]int64{}
	in.bids(func(b *nexmark.Bid) { times[b.Bidder] = append(times[b.Bidder], b.DateTime) })
	for bidder, at := range times {
		slices.Sort(at)
		addSessions(&a, bidder, at)
	}
	return a
}

func addSessions(a *Answer, bidder int64, at []int64) {
	const gap = 10_000
	first := 0
	for i := range at {
		if i+1 == len(at) || at[i+1] >= at[i]+gap {
			a.add(queries.Q11Row{Bidder: bidder, BidCount: int64(i + 1 - first), StartTime: at[first], EndTime: at[i] + gap})
			first = i + 1
		}
	}
}
