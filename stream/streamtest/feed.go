package streamtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// feed is a split of an input: everything that it was ever given, so that it can be read
// again from any position.
type feed[T any] struct {
	name string

	mu    sync.Mutex
	items []item[T]
	ended bool
	wake  func() // of the reader
}

// item is a record, or a watermark.
type item[T any] struct {
	value     T
	time      int64
	watermark bool
}

// change changes the feed and wakes its reader. It is called in the bubble, since
// what it wakes waits there.
func (f *feed[T]) change(how func(*feed[T])) {
	f.mu.Lock()
	how(f)
	wake := f.wake
	f.mu.Unlock()
	if wake != nil {
		wake()
	}
}

func (f *feed[T]) hasEnded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// feeds is a source of feeds.
type feeds[T any] []*feed[T]

// Splits implements connector.Source.
func (s feeds[T]) Splits(context.Context, connector.Env) ([]connector.Split, error) {
	var splits []connector.Split
	for _, f := range s {
		splits = append(splits, connector.Split{ID: f.name})
	}
	return splits, nil
}

// Open implements connector.Source.
func (s feeds[T]) Open(_ context.Context, _ connector.Env, split connector.Split, position []byte) (connector.Reader[T], error) {
	for _, f := range s {
		if f.name == split.ID {
			return openFeed(f, position)
		}
	}
	return nil, fmt.Errorf("the input has no split %q", split.ID)
}

func openFeed[T any](f *feed[T], position []byte) (*reader[T], error) {
	r := &reader[T]{feed: f, wm: connector.NoTime}
	if position == nil {
		return r, nil
	}
	if len(position) != 16 {
		return nil, fmt.Errorf("position of %d bytes: want 16", len(position))
	}
	r.pos, r.wm = int(binary.BigEndian.Uint64(position)), int64(binary.BigEndian.Uint64(position[8:]))
	return r, nil
}

// reader reads a feed. Its position is the number of items read, and the watermark.
type reader[T any] struct {
	feed *feed[T]
	pos  int
	wm   int64
}

// waiting is how long there is nothing if nobody wakes the reader.
const waiting = 1000 * time.Hour

// Next gives the records up to the next watermark, and that with them: it holds
// from the end of the batch on.
func (r *reader[T]) Next(_ context.Context, limit int, out *connector.Records[T]) (time.Duration, error) {
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	seen := false
	for ; r.pos < len(r.feed.items) && len(out.Values) < limit; r.pos++ {
		it := r.feed.items[r.pos]
		switch {
		case it.watermark:
			r.wm, seen = max(r.wm, it.time), true
			continue
		case seen: // what follows a watermark is a batch of its own
			r.feed.wake()
			return 0, nil
		}
		out.Values, out.Times = append(out.Values, it.value), append(out.Times, it.time)
	}
	if r.pos == len(r.feed.items) && r.feed.ended {
		return 0, io.EOF
	}
	return waiting, nil
}

// Notify implements connector.Notifier.
func (r *reader[T]) Notify(wake func()) {
	r.feed.mu.Lock()
	r.feed.wake = wake
	r.feed.mu.Unlock()
}

// Watermark implements connector.Watermarker.
func (r *reader[T]) Watermark() int64 { return r.wm }

// Position implements connector.Reader.
func (r *reader[T]) Position() []byte {
	p := binary.BigEndian.AppendUint64(nil, uint64(r.pos))
	return binary.BigEndian.AppendUint64(p, uint64(r.wm))
}

// Close implements connector.Reader.
func (r *reader[T]) Close() error { return nil }

var (
	_ connector.Source[int] = feeds[int](nil)
	_ connector.Notifier    = (*reader[int])(nil)
	_ connector.Watermarker = (*reader[int])(nil)
)
