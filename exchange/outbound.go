package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// messageBytesMax is when a gRPC message is full: frames that wait are
	// sent together up to about this size. Larger messages gain nothing, and
	// delay what comes behind them.
	messageBytesMax = 256 << 10
	// queueFrames bounds what waits for the transport. Batches are bounded by
	// credit anyway; this bounds watermarks.
	queueFrames = 64
	// closeWait bounds how long a close waits for the peer to read the rest.
	closeWait = time.Second
)

// outbound is the sending end of a channel.
type outbound struct {
	id     ChannelID
	peer   Peer
	stream grpc.ClientStream
	cancel context.CancelCauseFunc // of the stream

	queue   chan Frame // from the engine's goroutine to the writer
	closing chan struct{}
	credit  atomic.Int64
	wake    chan struct{} // capacity 1: credit has grown
	notify  atomic.Pointer[func()]
	done    chan struct{} // closed when the channel can send no more
	err     error         // why; set before done is closed
	failed  sync.Once
	work    sync.WaitGroup
	closed  sync.Once
}

var _ Sender = (*outbound)(nil)

// openChannel makes the stream and waits until the peer has taken the channel.
func openChannel(ctx context.Context, c *connection, id ChannelID) (*outbound, error) {
	// The stream outlives the call that opens it; cancel ends it.
	streamCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	o := &outbound{id: id, peer: c.peer, cancel: cancel,
		queue: make(chan Frame, queueFrames), closing: make(chan struct{}),
		wake: make(chan struct{}, 1), done: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer stop()
	stream, err := c.stream(streamCtx)
	if err == nil {
		err = stream.SendMsg(messageOf(Frame{Kind: hello, Payload: encodeID(id)}))
		if errors.Is(err, io.EOF) { // the reason is on the receiving side
			err = stream.RecvMsg(&message{})
		}
	}
	if err == nil {
		o.stream = stream
		err = o.receiveGrant()
	}
	if err != nil {
		cancel(err)
		return nil, fmt.Errorf("open channel %s to %s: %w", id, c.peer, refusal(err))
	}
	o.work.Go(o.write)
	o.work.Go(o.listen)
	return o, nil
}

// refusal puts a peer's no into the class ErrRefused.
func refusal(err error) error {
	switch status.Code(err) {
	case codes.FailedPrecondition, codes.NotFound, codes.AlreadyExists, codes.InvalidArgument:
		return fmt.Errorf("%w: %s", ErrRefused, status.Convert(err).Message())
	}
	return err
}

// Send hands a frame over. See Sender.
func (o *outbound) Send(ctx context.Context, f Frame) error {
	if len(f.Payload) > frameBytesMax {
		return fmt.Errorf("send on channel %s: a frame of %d bytes, at most %d fit; use smaller batches", o.id, len(f.Payload), frameBytesMax)
	}
	if f.Kind == Batch {
		if err := o.acquire(ctx); err != nil {
			return err
		}
	}
	return o.enqueue(ctx, f)
}

// TrySend hands a frame over if there is credit. See Sender.
func (o *outbound) TrySend(ctx context.Context, f Frame) (ok bool, err error) {
	if f.Kind != Batch || o.credit.Load() > 0 {
		return true, o.Send(ctx, f) // nobody else takes the credit
	}
	select {
	case <-o.done:
		return false, o.err
	default:
		return false, nil
	}
}

// Notify has wake called when credit has come, or the channel has ended. See Sender.
func (o *outbound) Notify(wake func()) { o.notify.Store(&wake) }

// tell calls what Notify was given.
func (o *outbound) tell() {
	if wake := o.notify.Load(); wake != nil {
		(*wake)()
	}
}

// enqueue hands a frame to the writer.
func (o *outbound) enqueue(ctx context.Context, f Frame) error {
	select {
	case <-o.done:
		return o.err
	default:
	}
	select {
	case o.queue <- f:
		return nil
	case <-o.done:
		return o.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// acquire takes one credit and waits for it if there is none.
func (o *outbound) acquire(ctx context.Context) error {
	for o.credit.Load() <= 0 {
		select {
		case <-o.wake:
		case <-o.done:
			return o.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	o.credit.Add(-1)
	return nil
}

// write sends what is queued: frames that wait at the same time go together, and a
// frame waits for the one that its sender has announced.
func (o *outbound) write() {
	for {
		select {
		case <-o.done:
			return
		case f := <-o.queue:
			if !o.sendFrom(f) {
				return
			}
		case <-o.closing:
			o.writeRest()
			return
		}
	}
}

func (o *outbound) writeRest() {
	for {
		select {
		case f := <-o.queue:
			if !o.sendFrom(f) {
				return
			}
		default:
			if o.sendMessage(messageOf(Frame{Kind: goodbye})) {
				if err := o.stream.CloseSend(); err != nil {
					o.fail(err)
				}
			}
			return
		}
	}
}

func (o *outbound) sendFrom(f Frame) bool {
	m := messageOf(f)
	for m.bytes < messageBytesMax {
		next, ok := o.following(f.More)
		if !ok {
			break
		}
		f = next
		m.add(f)
	}
	return o.sendMessage(m)
}

// following is the next frame of the queue, if there is one already or one is announced.
func (o *outbound) following(announced bool) (Frame, bool) {
	select {
	case f := <-o.queue:
		return f, true
	default:
	}
	if !announced {
		return Frame{}, false
	}
	select {
	case f := <-o.queue:
		return f, true
	case <-o.closing: // its sender failed in between
	case <-o.done:
	}
	return Frame{}, false
}

func (o *outbound) sendMessage(m *message) bool {
	err := o.stream.SendMsg(m)
	if err != nil && !errors.Is(err, io.EOF) { // on EOF listen learns the reason
		o.fail(err)
	}
	return err == nil
}

// listen takes credit until the stream ends.
func (o *outbound) listen() {
	for {
		err := o.receiveGrant()
		if err == nil {
			continue
		}
		select {
		case <-o.closing: // the peer has read the goodbye
			err = ErrClosed
		default:
		}
		o.fail(err)
		return
	}
}

func (o *outbound) receiveGrant() error {
	var m message
	if err := o.stream.RecvMsg(&m); err != nil {
		return err
	}
	return m.each(func(f Frame) error {
		if f.Kind != grant || f.Arg < 0 {
			return fmt.Errorf("%w: kind %d where credit is due", ErrCorrupt, f.Kind)
		}
		o.credit.Add(f.Arg)
		select {
		case o.wake <- struct{}{}:
		default:
		}
		o.tell()
		return nil
	})
}

// fail ends the channel: Send returns an error that names the peer.
func (o *outbound) fail(cause error) {
	o.failed.Do(func() {
		o.err = fmt.Errorf("%w: channel %s to %s: %w", ErrBroken, o.id, o.peer, cause)
		close(o.done)
		o.cancel(cause)
		o.tell()
	})
}

// Close sends what is queued, says goodbye and waits until the peer has read it
// all, at most a second.
func (o *outbound) Close() error {
	o.closed.Do(func() {
		close(o.closing)
		late := time.AfterFunc(closeWait, func() { o.fail(ErrClosed) })
		o.work.Wait() // listen ends when the peer has read the goodbye
		late.Stop()
		o.fail(ErrClosed)
	})
	return nil
}
