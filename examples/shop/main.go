// Command shop tells which views of a page led to an order, and how many did in each
// visit of a user.
package main

import (
	"time"

	"github.com/cairnstream/cairn/connector/files"
	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/stream"
)

// View is a user's look at a page. Phones send one again when they are not sure.
type View struct {
	ID, User, Page string
	At             time.Time
}

// Order is a purchase.
type Order struct {
	User  string
	Cents int64
	At    time.Time
}

// Sale is an order with a view of the ten minutes before it.
type Sale struct {
	User, Page string
	Cents      int64
}

// Visit is how many sales a user's visit had.
type Visit = stream.WindowResult[string, int]

// Config is the job's arguments: --views, --orders and --out.
type Config struct{ Views, Orders, Out string }

func main() {
	stream.MainWith("shop", Config{"views/*.jsonl", "orders/*.jsonl", "file:///tmp/shop"}, Shop)
}

// Shop builds the job.
func Shop(p *stream.Pipeline, c Config) {
	views := stream.From(p, "views", files.JSONLines[View](c.Views), stream.UID("views"),
		stream.Timestamps(func(v View) time.Time { return v.At }), stream.BoundedOutOfOrderness(5*time.Second))
	orders := stream.From(p, "orders", files.JSONLines[Order](c.Orders), stream.UID("orders"),
		stream.Timestamps(func(o Order) time.Time { return o.At }), stream.BoundedOutOfOrderness(5*time.Second))

	byID := stream.KeyBy(views, func(v View) string { return v.ID })
	once := stream.Deduplicate(byID, "once", 10*time.Minute, stream.UID("once"))

	sales := stream.IntervalJoin(
		stream.KeyBy(once, func(v View) string { return v.User }),
		stream.KeyBy(orders, func(o Order) string { return o.User }),
		"sales", 0, 10*time.Minute, // an order counts from its view to ten minutes after it
		func(v View, o Order) Sale { return Sale{v.User, v.Page, o.Cents} }, stream.UID("sales"))
	stream.To(sales, "sold", filesink.JSONLines[Sale](c.Out), stream.UID("sold"))

	byUser := stream.KeyBy(sales, func(s Sale) string { return s.User })
	count := stream.Aggregate[Sale, int, int]{
		Init:   func() int { return 0 },
		Add:    func(n int, _ Sale) int { return n + 1 },
		Merge:  func(a, b int) int { return a + b },
		Result: func(n int) int { return n },
	}
	visits := stream.Window(byUser, "visits", stream.Session(30*time.Minute), count, stream.UID("visits"))
	stream.To(visits, "counts", filesink.JSONLines[Visit](c.Out), stream.UID("counts"))
}
