package matrix

import (
	"context"
	"errors"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/exchange"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// watchedSource is a source in memory that tells when a position is taken.
type watchedSource struct {
	*enginetest.Source[rec]
	w *world
}

// source reads a node's slices, some of them at a pace.
func (w *world) source(n *node) connector.Source[rec] {
	s := &enginetest.Source[rec]{Slices: n.slices, Chunk: 1 + w.chunk}
	if pace := w.pace; pace > 0 {
		s.Hold = func(_, position int) bool { return time.Since(w.begun) < time.Duration(position)*pace }
	}
	return &watchedSource{s, w}
}

func (s *watchedSource) Open(ctx context.Context, env connector.Env, split connector.Split, position []byte) (connector.Reader[rec], error) {
	r, err := s.Source.Open(ctx, env, split, position)
	return &watchedReader{r, s.w}, err
}

type watchedReader struct {
	connector.Reader[rec]
	w *world
}

func (r *watchedReader) Position() []byte {
	r.w.reach(sourceCut)
	return r.Reader.Position()
}

// watchedSink is a sink in memory that tells what is asked of it.
type watchedSink struct {
	*enginetest.Sink[rec]
	w    *world
	each time.Duration // that a record takes
}

func (w *world) newSink(slow time.Duration, fails int) *watchedSink {
	s := &watchedSink{Sink: enginetest.NewSink[rec](), w: w}
	s.OnWrite = func() {
		w.reach(writing)
		time.Sleep(slow)
	}
	s.OnPrepare = func() error {
		w.reach(uploading)
		time.Sleep(w.upload)
		if fails > 0 && w.chance(fails) {
			w.cover.hit("a sink could not prepare")
			return errSink
		}
		return nil
	}
	return s
}

var errSink = errors.New("the sink's store is down for a moment")

func (s *watchedSink) Open(ctx context.Context, env connector.Env) (connector.Writer[rec], error) {
	wr, err := s.Sink.Open(ctx, env)
	return &watchedWriter{wr, s.w, s.each}, err
}

func (s *watchedSink) Commit(ctx context.Context, env connector.Env, txns []snapshot.Transaction) error {
	s.w.reach(committing)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.Sink.Commit(ctx, env, txns)
}

// Forget implements connector.Transactional.
func (s *watchedSink) Forget(ctx context.Context, env connector.Env, txns []snapshot.Transaction) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.Sink.Forget(ctx, env, txns)
}

type watchedWriter struct {
	connector.Writer[rec]
	w    *world
	each time.Duration
}

func (wr *watchedWriter) Write(values []rec, times []int64) error {
	time.Sleep(time.Duration(len(values)) * wr.each)
	return wr.Writer.Write(values, times)
}

func (wr *watchedWriter) Prepare(id dataflow.CheckpointID) (func(context.Context) ([][]byte, error), error) {
	wr.w.reach(sinkCut)
	return wr.Writer.Prepare(id)
}

// watchedBucket is a store that takes its time.
type watchedBucket struct {
	objectstore.Bucket
	w *world
}

func (b *watchedBucket) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) error {
	b.w.reach(uploading)
	time.Sleep(b.w.upload)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return b.Bucket.Put(ctx, key, data, opts)
}

func (b *watchedBucket) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	b.w.reach(restoring)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return b.Bucket.Get(ctx, key, offset, length)
}

// watchedNetwork tells which control frames pass.
type watchedNetwork struct {
	engine.Network
	w *world
}

func (n *watchedNetwork) Open(ctx context.Context, id exchange.ChannelID) (exchange.Sender, error) {
	s, err := n.Network.Open(ctx, id)
	return &watchedSender{s, n.w}, err
}

type watchedSender struct {
	exchange.Sender
	w *world
}

func (s *watchedSender) Send(ctx context.Context, f exchange.Frame) error {
	if f.Kind == exchange.Barrier {
		s.w.reach(barrierOnWire)
	}
	return s.Sender.Send(ctx, f)
}

func (s *watchedSender) TrySend(ctx context.Context, f exchange.Frame) (bool, error) {
	if f.Kind == exchange.Barrier {
		s.w.reach(barrierOnWire)
	}
	return s.Sender.TrySend(ctx, f)
}
