package flights

import (
	"strconv"

	"github.com/cairnstream/cairn/stream"
)

// Running is what is known of an origin after one flight.
type Running struct {
	Number     int64  `json:"number"` // the flight's row
	Origin     string `json:"origin"`
	Date       int64  `json:"date"`        // Unix milliseconds
	Flights    int64  `json:"flights"`     // up to and with this one
	TotalDelay int64  `json:"total_delay"` // of all of them, minutes
}

// AppendJSON writes what encoding/json would, faster.
func (r Running) AppendJSON(dst []byte) ([]byte, error) {
	dst = strconv.AppendInt(append(dst, `{"number":`...), r.Number, 10)
	dst = appendString(append(dst, `,"origin":`...), r.Origin)
	dst = strconv.AppendInt(append(dst, `,"date":`...), r.Date, 10)
	dst = strconv.AppendInt(append(dst, `,"flights":`...), r.Flights, 10)
	dst = strconv.AppendInt(append(dst, `,"total_delay":`...), r.TotalDelay, 10)
	return append(dst, '}'), nil
}

// place is where a flight stands in the order of its origin.
type place struct {
	Date   int64
	Number int64
}

// total is the running result of an origin.
type total struct {
	Flights int64
	Delay   int64
}

// running orders an origin's flights by date and number before it counts them:
// splits are read side by side, so they arrive a little out of order. A flight
// waits until the watermark says that none before it can come.
type running struct {
	waiting *stream.MapOf[place, int64] // delays
	total   *stream.Value[total]
	due     []place // scratch
}

func newRunning() stream.Processor[string, Row, Running] { return &running{} }

func (r *running) Open(s *stream.Setup) error {
	r.waiting = stream.MapState[place, int64](s, "waiting")
	r.total = stream.ValueState[total](s, "total")
	return nil
}

func (r *running) Process(ctx *stream.Context[string, Running], row Row) error {
	ctx.SetTimer(row.Millis(), "")
	return r.waiting.Put(place{row.Millis(), row.Number}, row.Delay)
}

// OnTimer counts the flights that are due.
func (r *running) OnTimer(ctx *stream.Context[string, Running], t stream.Timer) error {
	sum, _, err := r.total.Get()
	if err != nil {
		return err
	}
	r.due = r.due[:0]
	err = r.waiting.Range(func(p place, delay int64) bool {
		if p.Date > t.At {
			return false
		}
		r.due = append(r.due, p)
		sum.Flights++
		sum.Delay += delay
		ctx.Emit(Running{p.Number, ctx.Key(), p.Date, sum.Flights, sum.Delay})
		return true
	})
	if err != nil {
		return err
	}
	for _, p := range r.due {
		r.waiting.Delete(p)
	}
	return r.total.Set(sum)
}
