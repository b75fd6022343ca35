package answer

import (
	"slices"
	"strings"
	"testing"
)

// TestQueries compares each query's SQL with results found by hand. Times are
// close to 0, where windows are easy to see; each case says what it is about.
func TestQueries(t *testing.T) {
	for _, test := range []struct {
		query, about string
		world        world
		want         []string
	}{
		{
			"q0", "each bid, twins twice",
			world{Bids: []bid{
				{Auction: 1, Bidder: 2, Price: 3, Channel: "c", URL: "u", DateTime: 4, Extra: "x, \"y\""},
				{Auction: 1, Bidder: 2, Price: 3, DateTime: 4},
				{Auction: 1, Bidder: 2, Price: 3, DateTime: 4},
			}},
			[]string{`1, 2, 3, 4, "x, \"y\""`, `1, 2, 3, 4, ""`, `1, 2, 3, 4, ""`},
		},
		{
			"q1", "three decimals, nothing rounded",
			world{Bids: []bid{{Auction: 1, Bidder: 2, Price: 1, DateTime: 4, Extra: "e"}, {Price: 100_000_000}}},
			[]string{`1, 2, 908, 4, "e"`, `0, 0, 90800000000, 0, ""`},
		},
		{
			"q2", "multiples of 123 and their neighbours",
			world{Bids: []bid{{Auction: 122, Price: 1}, {Auction: 123, Price: 2}, {Auction: 124, Price: 3}, {Auction: 1230, Price: 4}}},
			[]string{"123, 2", "1230, 4"},
		},
		{
			"q3", "state, category, and a seller with two auctions, one before him",
			world{
				Persons: []person{
					{ID: 1, Name: "Ann", City: "Boise", State: "ID", DateTime: 50},
					{ID: 2, Name: "Bob", City: "Phoenix", State: "AZ"},
					{ID: 3, Name: "Cy", City: "Bend", State: "OR"},
					{ID: 4, Name: "Di", City: "Kent", State: "WA"},
					{ID: 5, Name: "Ed", City: "San Francisco", State: "CA"},
				},
				Auctions: []auction{
					{ID: 11, Seller: 1, Category: 10, DateTime: 90}, {ID: 12, Seller: 1, Category: 10, DateTime: 10},
					{ID: 13, Seller: 1, Category: 11}, {ID: 14, Seller: 2, Category: 10}, {ID: 15, Seller: 3, Category: 12},
					{ID: 16, Seller: 4, Category: 10}, {ID: 17, Seller: 5, Category: 10}, {ID: 18, Seller: 6, Category: 10},
				},
			},
			[]string{`"Ann", "Boise", "ID", 11`, `"Ann", "Boise", "ID", 12`, `"Ed", "San Francisco", "CA", 17`},
		},
		{
			"q4", "bids at both ends count, those outside do not, nor an auction without a bid; the mean is cut",
			world{
				Auctions: []auction{
					{ID: 1, Category: 10, DateTime: 100, Expires: 200}, {ID: 2, Category: 10, DateTime: 100, Expires: 200},
					{ID: 3, Category: 10, DateTime: 100, Expires: 200}, {ID: 4, Category: 11, DateTime: 0, Expires: 5},
				},
				Bids: []bid{
					{Auction: 1, Price: 99, DateTime: 99}, {Auction: 1, Price: 10, DateTime: 100}, {Auction: 1, Price: 7, DateTime: 150},
					{Auction: 2, Price: 21, DateTime: 200}, {Auction: 2, Price: 98, DateTime: 201},
					{Auction: 4, Price: 5, DateTime: 5}, {Auction: 4, Price: 5, DateTime: 3}, {Auction: 9, Price: 1},
				},
			},
			[]string{"10, 2, 15, 0, 0", "11, 1, 5, 0, 0"},
		},
		{
			"q5", "a tie, a window's end, and windows that nothing falls into",
			world{Bids: []bid{
				{Auction: 1, DateTime: 20_000}, {Auction: 2, DateTime: 21_999}, {Auction: 1, DateTime: 22_000}, {Auction: 3, DateTime: 50_000},
			}},
			[]string{
				"12000, 22000, 1, 1", "12000, 22000, 2, 1", // 22,000 is the next slide's
				"14000, 24000, 1, 2", "16000, 26000, 1, 2", "18000, 28000, 1, 2", "20000, 30000, 1, 2",
				"22000, 32000, 1, 1",
				"42000, 52000, 3, 1", "44000, 54000, 3, 1", "46000, 56000, 3, 1", "48000, 58000, 3, 1", "50000, 60000, 3, 1",
			},
		},
		{
			"q7", "a tie within a window, the price again at the window's end, where it is the next one's lesser bid",
			world{Bids: []bid{
				{Auction: 1, Bidder: 5, Price: 7, DateTime: 10_000, Extra: "a"}, {Auction: 2, Bidder: 6, Price: 7, DateTime: 19_999, Extra: "b"},
				{Auction: 3, Price: 6, DateTime: 15_000}, {Auction: 4, Price: 7, DateTime: 20_000}, {Auction: 5, Price: 8, DateTime: 29_000},
				{Auction: 6, Price: 1, DateTime: 40_000},
			}},
			[]string{`1, 5, 7, 10000, "a"`, `2, 6, 7, 19999, "b"`, `5, 0, 8, 29000, ""`, `6, 0, 1, 40000, ""`},
		},
		{
			"q8", "two auctions in the window, an auction before its seller, one in the next window, none",
			world{
				Persons: []person{
					{ID: 1, Name: "Ann", DateTime: 10_000}, {ID: 2, Name: "Bob", DateTime: 19_999},
					{ID: 3, Name: "Cy", DateTime: 19_999}, {ID: 4, Name: "Di", DateTime: 20_000},
				},
				Auctions: []auction{
					{ID: 11, Seller: 1, DateTime: 11_000}, {ID: 12, Seller: 1, DateTime: 19_999}, {ID: 13, Seller: 1, DateTime: 20_000},
					{ID: 14, Seller: 2, DateTime: 10_000}, {ID: 15, Seller: 3, DateTime: 20_000},
				},
			},
			[]string{`1, "Ann", 10000`, `2, "Bob", 10000`},
		},
		{
			"q11", "gaps of 9,999 and of exactly 10,000 ms, twins at both ends of a session, two bidders, disorder",
			world{Bids: []bid{
				{Bidder: 1, DateTime: 19_999}, {Bidder: 1, DateTime: 10_000}, {Bidder: 1, DateTime: 29_999}, {Bidder: 1, DateTime: 29_999},
				{Bidder: 2, DateTime: 10_000}, {Bidder: 2, DateTime: 10_000}, {Bidder: 2, DateTime: 19_000}, {Bidder: 2, DateTime: 40_000},
			}},
			[]string{"1, 2, 10000, 29999", "1, 2, 29999, 39999", "2, 3, 10000, 29000", "2, 1, 40000, 50000"},
		},
		{
			"q12", "bids of each bidder, whenever",
			world{Bids: []bid{{Bidder: 1, DateTime: 1}, {Bidder: 2, DateTime: 2}, {Bidder: 1, DateTime: 99_999}}},
			[]string{"1, 2", "2, 1"},
		},
		{
			"q13", "the first key, the last, and round again",
			world{Bids: []bid{
				{Auction: 10_000, Bidder: 1, Price: 2, DateTime: 3}, {Auction: 9999, DateTime: 4}, {Auction: 10_001}, {Auction: 37},
			}},
			[]string{`10000, 1, 2, 3, "0"`, `9999, 0, 0, 4, "9999"`, `10001, 0, 0, 0, "1"`, `37, 0, 0, 0, "37"`},
		},
		{
			"q22", "all parts, some, none, an empty one",
			world{Bids: []bid{
				{Auction: 1, Bidder: 2, Price: 3, Channel: "c", URL: "https://www.nexmark.com/x/y/z/item.htm?query=1"},
				{URL: "https://h/a/b"}, {URL: ""}, {URL: "https://h//b/c"}, {URL: "no slash"},
			}},
			[]string{
				`1, 2, 3, "c", "x", "y", "z"`, `0, 0, 0, "", "a", "b", ""`, `0, 0, 0, "", "", "", ""`,
				`0, 0, 0, "", "", "b", "c"`, `0, 0, 0, "", "", "", ""`,
			},
		},
	} {
		t.Run(test.query, func(t *testing.T) {
			got := lines(t, expect(t, test.world, test.query))
			slices.Sort(got)
			if slices.Sort(test.want); !slices.Equal(got, test.want) {
				t.Errorf("%s:\n%s\nwant:\n%s", test.about, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// TestColumns: what SQL finds has the columns of a run's results in their order, or else SQL makes it of them.
func TestColumns(t *testing.T) {
	db := load(t, world{})
	for _, name := range Names() {
		q, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		want := q.Columns
		if q.ResultSQL != "" {
			if err := db.load(t.Context(), table{name: "result", columns: q.Columns, schema: strings.Join(q.Columns, ", ")}, nil); err != nil {
				t.Fatal(err)
			}
			want = columnsOf(t, db, q.ResultSQL)
		}
		if got := columnsOf(t, db, q.SQL); !slices.Equal(got, want) {
			t.Errorf("%s: the right rows have the columns %q, a run's %q", name, got, want)
		}
	}
}

func columnsOf(t *testing.T, d *Database, statement string) []string {
	t.Helper()
	rows, err := d.db.QueryContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	return columns
}

// TestLookupSaysWhatThereIs: a wrong name gets the right ones.
func TestLookupSaysWhatThereIs(t *testing.T) {
	if _, err := Lookup("q6"); err == nil || !strings.Contains(err.Error(), `"q6"`) || !strings.Contains(err.Error(), "q22") {
		t.Errorf("Lookup: %v", err)
	}
}
