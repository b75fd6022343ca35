package stream_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/cairnstream/cairn/connector/print"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// order is a customer's order, at a time in seconds.
type order struct {
	ID, Customer string
	Amount       int64
	At           int64
}

// orders reads some orders.
func orders(p *stream.Pipeline, list ...order) stream.Stream[order] {
	return stream.From(p, "orders", &enginetest.Source[order]{Slices: [][]order{list}}, stream.UID("orders"),
		stream.Timestamps(func(o order) time.Time { return time.Unix(o.At, 0) }), stream.BoundedOutOfOrderness(time.Minute))
}

// printed prints a stream's records.
func printed[T any](s stream.Stream[T], name string) {
	stream.To(s, name, &print.To[T]{Prefix: name + ": ", Out: os.Stdout})
}

// runHere runs a job to its end, as its executable would without a cluster.
func runHere(build func(p *stream.Pipeline)) {
	dir, err := os.MkdirTemp("", "example")
	if err == nil {
		defer os.RemoveAll(dir)
		err = stream.Run(context.Background(), "example", []string{"--cairn.dir=" + dir}, func(p *stream.Pipeline, _ []string) error {
			build(p)
			return nil
		})
	}
	if err != nil {
		fmt.Println(err)
	}
}

// Orders get the names of their customers from a service. Fifty calls are under way at
// once, and each is tried four times.
func ExampleAsync() {
	type named struct{ ID, Name string }
	service := func(_ context.Context, customer string) (string, error) { return "Customer " + customer, nil }
	runHere(func(p *stream.Pipeline) {
		in := orders(p, order{ID: "o1", Customer: "7"}, order{ID: "o2", Customer: "9"}, order{ID: "o3", Customer: "7"})
		withNames := stream.Async(in, "names", func(ctx context.Context, o order) (named, error) {
			name, err := service(ctx, o.Customer)
			return named{o.ID, name}, err
		}, stream.AsyncOptions{Ordered: true, InFlight: 50, Timeout: time.Second, Retries: 3}, stream.UID("names"))
		printed(withNames, "order")
	})
	// Output:
	// order: {ID:o1 Name:Customer 7}
	// order: {ID:o2 Name:Customer 9}
	// order: {ID:o3 Name:Customer 7}
}

// A record that can't be handled goes aside, with the reason, and the job goes on.
func ExamplePoisonTo() {
	runHere(func(p *stream.Pipeline) {
		in := orders(p, order{ID: "17", Amount: 5}, order{ID: "x8"}, order{ID: "19", Amount: 7})
		var poison stream.Stream[stream.Poison]
		numbers := stream.TryMap(in, "numbers", func(o order) (int, error) { return strconv.Atoi(o.ID) },
			stream.UID("numbers"), stream.PoisonTo(&poison))
		reasons := stream.Map(poison, "reasons", func(p stream.Poison) string { return p.Error + " in " + p.Record })
		printed(numbers, "number")
		printed(reasons, "poison")
	})
	// Unordered output:
	// number: 17
	// number: 19
	// poison: strconv.Atoi: parsing "x8": invalid syntax in {"ID":"x8","Customer":"","Amount":0,"At":0}
}

// large is where orders go that somebody has to look at.
var large = stream.NewSide[order]("large")

// check lets orders pass and sends the large ones to a side output as well.
type check struct{ large *stream.SideOutput[order] }

func (c *check) Open(s *stream.Setup) error {
	c.large = stream.OpenSide(s, large)
	return nil
}

func (c *check) Process(out *stream.Emitter[string], o order) error {
	if o.Amount > 1000 {
		c.large.Emit(o)
	}
	out.Emit(o.ID)
	return nil
}

func ExampleSideTo() {
	runHere(func(p *stream.Pipeline) {
		in := orders(p, order{ID: "o1", Amount: 5}, order{ID: "o2", Amount: 5000})
		var toLookAt stream.Stream[order]
		ids := stream.Apply(in, "check", func() stream.Function[order, string] { return &check{} },
			stream.UID("check"), stream.SideTo(large, &toLookAt))
		printed(ids, "order")
		printed(stream.Map(toLookAt, "amounts", func(o order) int64 { return o.Amount }), "large")
	})
	// Unordered output:
	// order: o1
	// order: o2
	// large: 5000
}

// A shop sends an order again if it heard no answer. Within ten minutes it is the same
// order.
func ExampleDeduplicate() {
	runHere(func(p *stream.Pipeline) {
		in := orders(p, order{ID: "o1", At: 0}, order{ID: "o2", At: 60}, order{ID: "o1", At: 90}, order{ID: "o1", At: 700})
		byID := stream.KeyBy(in, func(o order) string { return o.ID })
		once := stream.Deduplicate(byID, "once", 10*time.Minute, stream.UID("once"))
		printed(stream.Map(once, "text", func(o order) string { return fmt.Sprint(o.ID, " at ", o.At) }), "order")
	})
	// Output:
	// order: o1 at 0
	// order: o2 at 60
	// order: o1 at 700
}

// The two largest orders of each customer and hour.
func ExampleTopN() {
	runHere(func(p *stream.Pipeline) {
		in := orders(p, order{"o1", "7", 40, 0}, order{"o2", "7", 90, 10}, order{"o3", "7", 50, 20}, order{"o4", "7", 10, 4000})
		byCustomer := stream.KeyBy(in, func(o order) string { return o.Customer })
		best := stream.TopN(byCustomer, "best", 2, stream.Tumbling(time.Hour),
			func(a, b order) bool { return a.Amount > b.Amount }, stream.UID("best"))
		printed(stream.Map(best, "text", func(r stream.Ranked[string, order]) string {
			return fmt.Sprintf("hour %d, number %d: %s", r.Start/3_600_000, r.Rank, r.Value.ID)
		}), "best")
	})
	// Output:
	// best: hour 0, number 1: o2
	// best: hour 0, number 2: o3
	// best: hour 1, number 1: o4
}

// A job may be built by a loop over its parameters: each round declares operators with
// UIDs of their own, so that their state is found again when a parameter comes or goes.
func Example_parameters() {
	limits := []int64{10, 100} // arguments of the job
	runHere(func(p *stream.Pipeline) {
		in := orders(p, order{ID: "o1", Customer: "7", Amount: 50}, order{ID: "o2", Customer: "9", Amount: 500}, order{ID: "o3", Customer: "7", Amount: 5})
		var counts []stream.Stream[string]
		for _, limit := range limits {
			name := fmt.Sprintf("above-%d", limit)
			above := stream.Filter(in, name, func(o order) bool { return o.Amount > limit })
			all := stream.KeyBy(above, func(order) string { return name })
			count := stream.Window(all, name+"-count", stream.Tumbling(time.Hour), stream.Aggregate[order, int, int]{
				Init: func() int { return 0 }, Add: func(n int, _ order) int { return n + 1 }, Result: func(n int) int { return n },
			}, stream.UID(name+"-count"))
			counts = append(counts, stream.Map(count, name+"-text", func(r stream.WindowResult[string, int]) string {
				return fmt.Sprintf("%d orders %s", r.Value, r.Key)
			}))
		}
		printed(stream.Union(counts[0], counts[1:]...), "count")
	})
	// Unordered output:
	// count: 2 orders above-10
	// count: 1 orders above-100
}
