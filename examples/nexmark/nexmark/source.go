package nexmark

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// Source makes the events of a generator. Split i makes the events i, i+Width,
// i+2*Width and so on, so that all splits move through event time together.
type Source struct {
	Generator
	// Count is how many events there are; 0: without end.
	Count int64
	// Width is the number of splits. It bounds the useful parallelism of the
	// source and does not change the events. Default DefaultWidth.
	Width int
	// Rate is how many events a second of real time all splits make together; 0: as
	// fast as they can. A paced source never skips: when it was held up it makes up
	// for it, so that a result's latency can be counted from when its event was due.
	Rate float64
	// Start is when event 0 is due, for a paced source, in Unix nanoseconds.
	// 0: when its split is opened.
	Start int64
}

// DefaultWidth is enough for the parallelism of a small cluster.
const DefaultWidth = 8

var _ connector.Source[Event] = Source{}

func (s Source) width() int64 {
	if s.Width > 0 {
		return int64(s.Width)
	}
	return DefaultWidth
}

// Splits lists the splits.
func (s Source) Splits(context.Context, connector.Env) ([]connector.Split, error) {
	out := make([]connector.Split, s.width())
	for i := range out {
		out[i] = connector.Split{ID: strconv.Itoa(i), Data: binary.AppendUvarint(nil, uint64(i))}
	}
	return out, nil
}

// Open starts a split at a position, which is the number of its next event.
func (s Source) Open(_ context.Context, _ connector.Env, split connector.Split, position []byte) (connector.Reader[Event], error) {
	if position == nil {
		position = split.Data
	}
	next, n := binary.Uvarint(position)
	if n != len(position) || n == 0 {
		return nil, fmt.Errorf("nexmark: split %q: position %x is not the number of an event", split.ID, position)
	}
	r := &reader{source: s, next: int64(next), stride: s.width()}
	if r.start = s.Start; r.start == 0 {
		r.start = time.Now().UnixNano() - s.due(r.next)
	}
	return r, nil
}

// due is when event n is due, in nanoseconds after event 0.
func (s Source) due(n int64) int64 {
	if s.Rate <= 0 {
		return 0
	}
	return int64(float64(n) / s.Rate * 1e9)
}

// reader makes the events of a split.
type reader struct {
	source Source
	next   int64 // number of the next event
	stride int64
	start  int64 // when event 0 is due, Unix nanoseconds
}

// Next makes the events that are due.
func (r *reader) Next(_ context.Context, most int, out *connector.Records[Event]) (time.Duration, error) {
	limit, wait := r.limit()
	for range most {
		if r.source.Count > 0 && r.next >= r.source.Count {
			return 0, io.EOF
		}
		if r.next >= limit {
			return wait, nil
		}
		out.Values = append(out.Values, Event{})
		e := &out.Values[len(out.Values)-1]
		r.source.Event(r.next, e)
		out.Times = append(out.Times, r.source.Time(r.next))
		r.next += r.stride
	}
	return 0, nil
}

// limit is the first event that is not due yet, and how long until the split's
// next one is.
func (r *reader) limit() (event int64, wait time.Duration) {
	if r.source.Rate <= 0 {
		return 1<<63 - 1, 0
	}
	elapsed := time.Now().UnixNano() - r.start
	event = int64(float64(elapsed)/1e9*r.source.Rate) + 1
	next := max(r.next, event)
	return event, time.Duration(max(r.source.due(next)-elapsed, 1))
}

// Position is the number of the next event.
func (r *reader) Position() []byte { return binary.AppendUvarint(nil, uint64(r.next)) }

// Close has nothing to do.
func (r *reader) Close() error { return nil }
