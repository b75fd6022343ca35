package queries

import (
	"strconv"

	"github.com/cairnstream/cairn/examples/nexmark/nexmark"
	"github.com/cairnstream/cairn/stream"
)

// Q13Row is a row of q13.
type Q13Row struct {
	Auction  int64  `parquet:"auction"`
	Bidder   int64  `parquet:"bidder"`
	Price    int64  `parquet:"price"`
	DateTime int64  `parquet:"date_time"`
	Value    string `parquet:"value"`
}

// sideRows is the size of q13's table: keys 0 to 9,999, each with its number as text.
const sideRows = 10_000

// Q13 adds to each bid what a table says. The table has an end and does not change, so
// each subtask reads it into memory when it is opened.
//
//	SELECT b.auction, b.bidder, b.price, b.date_time, s.value
//	FROM bid b JOIN side_input s ON s.key = b.auction % 10000
func Q13(events stream.Stream[nexmark.Event]) stream.Stream[Q13Row] {
	return stream.Apply(events, "look up", func() stream.Function[nexmark.Event, Q13Row] { return &lookup{} }, stream.UID("look-up"))
}

type lookup struct{ values []string }

// Open reads the table.
func (l *lookup) Open(*stream.Setup) error {
	l.values = sideInput()
	return nil
}

func (l *lookup) Process(out *stream.Emitter[Q13Row], e nexmark.Event) error {
	if b := &e.Bid; e.Kind == nexmark.KindBid {
		out.Emit(Q13Row{b.Auction, b.Bidder, b.Price, b.DateTime, l.values[b.Auction%sideRows]})
	}
	return nil
}

// sideInput is the table: the value of key i is at i.
func sideInput() []string {
	values := make([]string, sideRows)
	for i := range values {
		values[i] = strconv.Itoa(i)
	}
	return values
}

// Digest implements Row.
func (r Q13Row) Digest() Digest {
	return hash(13).int(r.Auction).int(r.Bidder).int(r.Price).int(r.DateTime).string(r.Value).once()
}
