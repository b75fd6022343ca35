package nexmark

import (
	"hash/fnv"
	"slices"
	"strings"
	"testing"
)

const wantHash = 0x496c8707133f2aa4

// TestEventsAreStable pins the stream of a seed: published figures and results
// refer to it.
func TestEventsAreStable(t *testing.T) {
	g := Generator{Seed: 1}
	h := fnv.New64a()
	for n := range int64(100_000) {
		var e Event
		g.Event(n, &e)
		h.Write([]byte(e.String()))
	}
	if got := h.Sum64(); got != wantHash {
		t.Errorf("the first 100,000 events of seed 1 hash to %#x, before it was %#x", got, uint64(wantHash))
	}
}

func TestProportionsAndRanges(t *testing.T) {
	g := Generator{Seed: 7}
	var counts [3]int64
	var hot, cents int64
	sizes := 0
	const events = 500_000
	for n := range int64(events) {
		var e Event
		g.Event(n, &e)
		counts[e.Kind]++
		switch e.Kind {
		case KindPerson:
			if want := firstPerson + counts[KindPerson] - 1; e.Person.ID != want {
				t.Fatalf("person %d is number %d", e.Person.ID, want)
			}
		case KindAuction:
			a := e.Auction
			if want := firstAuction + counts[KindAuction] - 1; a.ID != want {
				t.Fatalf("auction %d is number %d", a.ID, want)
			}
			if a.Expires <= a.DateTime || a.Reserve <= a.InitialBid || a.Category < 10 || a.Category > 14 {
				t.Fatalf("auction %+v", *a)
			}
		case KindBid:
			b := e.Bid
			if b.Price < 100 || b.Price > 100_000_000 || b.DateTime != g.Time(n) {
				t.Fatalf("bid %+v", b)
			}
			newest := firstAuction + max(lastAuction(n), 0)
			if b.Auction > newest+auctionLead || b.Auction < newest-2*inFlightAuctions {
				t.Fatalf("bid for auction %d, the newest is %d", b.Auction, newest)
			}
			if slices.Contains(hotChannels, b.Channel) {
				hot++
			}
			cents += b.Price
			sizes += len(b.Extra) + 32
		}
	}
	if counts != [3]int64{events / 50, events / 50 * 3, events / 50 * 46} {
		t.Errorf("%d persons, auctions and bids", counts)
	}
	bids := float64(counts[KindBid])
	if share := float64(hot) / bids; share < 0.49 || share > 0.51 {
		t.Errorf("%.3f of the bids come over a hot channel", share)
	}
	if avg := float64(sizes) / bids; avg < 97 || avg > 103 {
		t.Errorf("a bid has %.1f bytes", avg)
	}
	if avg := float64(cents) / bids; avg < 6.8e6 || avg > 7.7e6 { // 1e8 / ln(1e6)
		t.Errorf("the average price is %.0f cents", avg)
	}
}

func TestOutOfOrderMixesWithinGroups(t *testing.T) {
	mixed, straight := Generator{Seed: 3, OutOfOrder: 10, EventRate: 1000}, Generator{Seed: 3, EventRate: 1000}
	back := 0
	for from := int64(0); from < 1000; from += 10 {
		var a, b []string
		for n := from; n < from+10; n++ {
			var x, y Event
			mixed.Event(n, &x)
			straight.Event(n, &y)
			a, b = append(a, x.String()), append(b, y.String())
			if n > 0 && mixed.Time(n) < mixed.Time(n-1) {
				back++
			}
		}
		if slices.Equal(a, b) {
			t.Fatalf("the group at %d is in order", from)
		}
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Fatalf("the group at %d has other events", from)
		}
	}
	if back == 0 {
		t.Error("event time never goes back")
	}
}

func TestURLsSplitIntoDirectories(t *testing.T) {
	for _, url := range append(slices.Clone(hotURLs), channelURLs...) {
		if parts := strings.Split(url, "/"); len(parts) != 7 {
			t.Fatalf("url %q", url)
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	b.ReportAllocs()
	g := Generator{Seed: 1}
	var e Event
	n := int64(0)
	for b.Loop() {
		g.Event(n, &e)
		n++
	}
}
