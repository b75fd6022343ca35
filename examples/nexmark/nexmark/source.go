package nexmark

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// Source makes the events of a generator. Its splits take turns in blocks of Block
// events: split i makes the blocks i, i+Width, i+2*Width and so on, so that all splits move
// through event time together, and one subtask that reads them all has the events in order.
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
	// Start is when event 0 is due, in Unix nanoseconds; of a source that is not paced, when
	// all events are. 0: about when its split is opened, or for one that is opened again, the
	// moment that makes its next events due then.
	Start int64
}

// Block is how many events in a row are one split's: as many as the engine takes at a
// time unless it is told otherwise.
const Block = 1024

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
		out[i] = connector.Split{ID: strconv.Itoa(i), Data: binary.AppendUvarint(nil, uint64(i)*Block)}
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
	r := &reader{source: s, next: int64(next), width: s.width()}
	if r.start = s.Start; r.start == 0 {
		turn := s.width() * Block
		r.start = time.Now().UnixNano() - s.due(r.next/turn*turn)
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
	width  int64
	start  int64 // when event 0 is due, Unix nanoseconds
	begun  bool  // of a source that is not paced: start is past
}

// Next makes the events that are due, at most to the end of a block.
func (r *reader) Next(_ context.Context, most int, out *connector.Records[Event]) (time.Duration, error) {
	if r.ended() {
		return 0, io.EOF
	}
	limit, wait := r.limit()
	if r.next >= limit {
		return wait, nil
	}
	end := min(r.next+int64(most), limit, (r.next/Block+1)*Block)
	if r.source.Count > 0 {
		end = min(end, r.source.Count)
	}
	r.make(int(end-r.next), out)
	if r.next%Block == 0 {
		r.next += (r.width - 1) * Block
	}
	if r.ended() {
		return 0, io.EOF
	}
	return 0, nil
}

func (r *reader) ended() bool { return r.source.Count > 0 && r.next >= r.source.Count }

// make makes the next n events.
func (r *reader) make(n int, out *connector.Records[Event]) {
	from := len(out.Values)
	out.Values = slices.Grow(out.Values, n)[:from+n]
	out.Times = slices.Grow(out.Times, n)[:from+n]
	for i := from; i < from+n; i++ {
		r.source.Event(r.next, &out.Values[i])
		out.Times[i] = r.source.Time(r.next)
		r.next++
	}
}

// Watermark is right before the next event: the split knows when that is, also while it
// is the turn of others.
func (r *reader) Watermark() int64 {
	if r.source.OutOfOrder > 1 {
		return connector.NoTime // the source's option knows by how much it trails
	}
	return r.source.Time(r.next) - 1
}

// limit is the first event that is not due yet, and how long until the split's
// next one is.
func (r *reader) limit() (event int64, wait time.Duration) {
	if r.source.Rate <= 0 && r.begun {
		return 1<<63 - 1, 0
	}
	elapsed := time.Now().UnixNano() - r.start
	if r.source.Rate <= 0 {
		if r.begun = elapsed >= 0; r.begun {
			return 1<<63 - 1, 0
		}
		return 0, time.Duration(-elapsed)
	}
	event = int64(float64(elapsed)/1e9*r.source.Rate) + 1
	next := max(r.next, event)
	return event, time.Duration(max(r.source.due(next)-elapsed, 1))
}

// Position is the number of the next event.
func (r *reader) Position() []byte { return binary.AppendUvarint(nil, uint64(r.next)) }

// Close has nothing to do.
func (r *reader) Close() error { return nil }
