package stream_test

import (
	"fmt"
	"time"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// payment is for an order, at a time in seconds.
type payment struct {
	Order  string
	Amount int64
	At     int64
}

// payments reads some payments.
func payments(p *stream.Pipeline, list ...payment) stream.Stream[payment] {
	return stream.From(p, "payments", &enginetest.Source[payment]{Slices: [][]payment{list}}, stream.UID("payments"),
		stream.Timestamps(func(p payment) time.Time { return time.Unix(p.At, 0) }), stream.BoundedOutOfOrderness(time.Minute))
}

// toPay are some orders by their number, and the payments for them by the same.
func toPay(p *stream.Pipeline) (stream.Keyed[string, order], stream.Keyed[string, payment]) {
	placed := orders(p, order{ID: "o1", Customer: "7", Amount: 5, At: 0}, order{ID: "o2", Customer: "9", Amount: 8, At: 10})
	paid := payments(p, payment{"o1", 2, 20}, payment{"o1", 3, 40}, payment{"o2", 8, 1000})
	return stream.KeyBy(placed, func(o order) string { return o.ID }), stream.KeyBy(paid, func(p payment) string { return p.Order })
}

// Each payment meets its order, if that is not more than a day older.
func ExampleJoin() {
	runHere(func(p *stream.Pipeline) {
		placed, paid := toPay(p)
		both := stream.Join(placed, paid, "both", 24*time.Hour, func(o order, p payment) string {
			return fmt.Sprintf("customer %s pays %d of %d", o.Customer, p.Amount, o.Amount)
		}, stream.UID("both"))
		printed(both, "payment")
	})
	// Unordered output:
	// payment: customer 7 pays 2 of 5
	// payment: customer 7 pays 3 of 5
	// payment: customer 9 pays 8 of 8
}

// Payments that come within a minute after their order.
func ExampleIntervalJoin() {
	runHere(func(p *stream.Pipeline) {
		placed, paid := toPay(p)
		quick := stream.IntervalJoin(placed, paid, "quick", 0, time.Minute, func(o order, p payment) string {
			return fmt.Sprintf("%s after %d s", o.ID, p.At-o.At)
		}, stream.UID("quick"))
		printed(quick, "paid")
	})
	// Unordered output:
	// paid: o1 after 20 s
	// paid: o1 after 40 s
}

// Orders for which some payment came in the same minute, once each.
func ExampleWindowJoin() {
	runHere(func(p *stream.Pipeline) {
		placed, paid := toPay(p)
		begun := stream.WindowJoin(placed, paid, "begun", stream.Tumbling(time.Minute), func(o order, _ payment) string {
			return o.ID
		}, stream.FirstMatch(), stream.UID("begun"))
		printed(begun, "begun")
	})
	// Output:
	// begun: o1
}

// rate is what a unit of money costs from a time in seconds on.
type rate struct {
	Currency string
	Cents    int64
	From     int64
}

// Payments in the money of their time.
func ExampleTemporalJoin() {
	runHere(func(p *stream.Pipeline) {
		list := []rate{{"crown", 9, 0}, {"crown", 10, 30}, {"crown", 11, 2000}}
		rates := stream.From(p, "rates", &enginetest.Source[rate]{Slices: [][]rate{list}}, stream.UID("rates"),
			stream.Timestamps(func(r rate) time.Time { return time.Unix(r.From, 0) }), stream.Monotonic())
		_, paid := toPay(p)
		inCents := stream.TemporalJoin(
			stream.KeyBy(paid.Stream(), func(payment) string { return "crown" }),
			stream.KeyBy(rates, func(r rate) string { return r.Currency }),
			"in cents", func(p payment, r rate, found bool) (string, bool) {
				return fmt.Sprintf("%d crowns at %d s are %d cents", p.Amount, p.At, p.Amount*r.Cents), found
			}, stream.UID("in-cents"))
		printed(inCents, "payment")
	})
	// Output:
	// payment: 2 crowns at 20 s are 18 cents
	// payment: 3 crowns at 40 s are 30 cents
	// payment: 8 crowns at 1000 s are 80 cents
}

// settler tells of an order when it is paid in full, or a minute later that it is not.
type settler struct {
	order *stream.Value[order]
	paid  *stream.Value[int64]
}

func (s *settler) Open(set *stream.Setup) error {
	s.order = stream.ValueState[order](set, "order")
	s.paid = stream.ValueState[int64](set, "paid")
	return nil
}

func (s *settler) ProcessFirst(ctx *stream.Context[string, string], o order) error {
	ctx.SetTimer(ctx.Time()+60_000, "due")
	return s.order.Set(o)
}

func (s *settler) ProcessSecond(_ *stream.Context[string, string], p payment) error {
	return s.paid.Update(func(sum *int64, _ bool) { *sum += p.Amount })
}

func (s *settler) OnTimer(ctx *stream.Context[string, string], _ stream.Timer) error {
	o, _, err := s.order.Get()
	if err != nil {
		return err
	}
	paid, _, err := s.paid.Get()
	ctx.Emit(fmt.Sprintf("%s: paid %d of %d", o.ID, paid, o.Amount))
	s.order.Clear()
	s.paid.Clear()
	return err
}

func ExampleCoProcess() {
	runHere(func(p *stream.Pipeline) {
		placed := orders(p, order{ID: "o1", Amount: 5, At: 0}, order{ID: "o2", Amount: 8, At: 10})
		paid := payments(p, payment{"o1", 2, 20}, payment{"o1", 3, 40})
		settled := stream.CoProcess(
			stream.KeyBy(placed, func(o order) string { return o.ID }), stream.KeyBy(paid, func(p payment) string { return p.Order }),
			"settle", func() stream.CoProcessor[string, order, payment, string] { return &settler{} }, stream.UID("settle"))
		printed(settled, "order")
	})
	// Output:
	// order: o1: paid 5 of 5
	// order: o2: paid 0 of 8
}

// limit is up to which amount payments pass.
type limit struct{ Amount int64 }

// guard stops what is above the limit. What came before there was one waits for it.
type guard struct {
	limits  *stream.Broadcasted[string, limit]
	waiting *stream.ListOf[payment]
}

func (g *guard) Open(s *stream.Setup) error {
	g.limits = stream.BroadcastState[string, limit](s, "limits")
	g.waiting = stream.ListState[payment](s, "waiting")
	return nil
}

func (g *guard) Process(ctx *stream.Context[string, string], p payment) error {
	ctx.SetTimer(ctx.Time()+60_000, "decide")
	return g.waiting.Append(p)
}

func (g *guard) ProcessBroadcast(_ *stream.Emitter[string], l limit) error {
	g.limits.Put("amount", l)
	return nil
}

func (g *guard) OnTimer(ctx *stream.Context[string, string], _ stream.Timer) error {
	l, _ := g.limits.Get("amount")
	all, err := g.waiting.All()
	for _, p := range all {
		if p.Amount > l.Amount {
			ctx.Emit(fmt.Sprintf("%s: %d is above %d", p.Order, p.Amount, l.Amount))
		}
	}
	g.waiting.Clear()
	return err
}

func ExampleWithBroadcast() {
	runHere(func(p *stream.Pipeline) {
		_, paid := toPay(p)
		limits := stream.From(p, "limits", &enginetest.Source[limit]{Slices: [][]limit{{{4}}}}, stream.UID("limits"),
			stream.TimestampsMillis(func(limit) int64 { return 0 }), stream.Monotonic())
		stopped := stream.WithBroadcast(paid, limits, "guard", func() stream.BroadcastProcessor[string, payment, limit, string] { return &guard{} }, stream.UID("guard"))
		printed(stopped, "stopped")
	})
	// Output:
	// stopped: o2: 8 is above 4
}
