package exchange

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errSaidGoodbye ends the reading of a channel that its sender closed.
var errSaidGoodbye = errors.New("sender closed the channel")

// inbound is the receiving end of a channel.
type inbound struct {
	id       ChannelID
	receiver Receiver
	claimed  bool // guarded by Server.mu: a sender has opened it

	granted  atomic.Int64  // by the engine, not yet told to the sender
	tellFrom int64         // how much of it is worth a message
	wake     chan struct{} // capacity 1: granted has grown
	over     chan struct{} // closed when the attempt ends here
	finished chan struct{} // closed when no frame will be handed over any more
	left     int64         // batches the sender may still send; the reader's
	told     atomic.Int64  // credit told to the sender and not yet in left
}

func newInbound(id ChannelID, credit int, r Receiver) *inbound {
	in := &inbound{id: id, receiver: r, tellFrom: int64(max(1, credit/2)),
		wake: make(chan struct{}, 1), over: make(chan struct{}), finished: make(chan struct{})}
	in.Grant(credit)
	return in
}

// Grant gives the sender more credit. It does not block. The sender hears of it when half of
// the credit has gathered: a message for each batch would cost both sides as much as
// the batch. A sender that waits has used all of it, so half of it does come.
func (in *inbound) Grant(batches int) {
	if in.granted.Add(int64(batches)) < in.tellFrom {
		return
	}
	select {
	case in.wake <- struct{}{}:
	default: // it is awake already
	}
}

// serve runs the channel until either side ends it. Its own goroutine grants;
// another one reads, because a read ends only with the stream, that is after
// serve has returned.
func (in *inbound) serve(stream grpc.ServerStream, rest []byte) error {
	ended := make(chan error, 1)
	go func() {
		defer close(in.finished)
		err := in.read(stream, rest)
		ended <- err
		in.report(err)
	}()
	for {
		select {
		case <-in.over:
			return status.Errorf(codes.Aborted, "channel %s: the attempt is over here", in.id)
		case err := <-ended:
			if errors.Is(err, errSaidGoodbye) {
				return nil
			}
			return status.Errorf(codes.Aborted, "channel %s: %v", in.id, err)
		case <-in.wake:
			n := in.granted.Swap(0)
			in.told.Add(n)
			if err := stream.SendMsg(messageOf(Frame{Kind: grant, Arg: n})); err != nil {
				return err // this ends the reader, which reports
			}
		}
	}
}

// report tells the engine of a channel that broke, unless its attempt is over.
func (in *inbound) report(err error) {
	if errors.Is(err, errSaidGoodbye) {
		return
	}
	select {
	case <-in.over:
		return
	default:
	}
	if errors.Is(err, io.EOF) || status.Code(err) == codes.Canceled {
		err = errors.New("the sender's process is gone")
	}
	in.receiver.Broken(fmt.Errorf("%w: channel %s: %w", ErrBroken, in.id, err))
}

// read hands frames to the engine. rest is what came with the hello.
func (in *inbound) read(stream grpc.ServerStream, rest []byte) error {
	m := message{in: rest}
	for {
		if err := m.each(in.take); err != nil {
			return err
		}
		m = message{}
		if err := stream.RecvMsg(&m); err != nil {
			return err
		}
	}
}

func (in *inbound) take(f Frame) error {
	switch f.Kind {
	case goodbye:
		return errSaidGoodbye
	case Batch:
		if in.left += in.told.Swap(0); in.left <= 0 {
			return errors.New("a batch without credit")
		}
		in.left--
	case Watermark, Barrier, End, Idle, Cancel:
	default:
		return fmt.Errorf("%w: kind %d", ErrCorrupt, f.Kind)
	}
	select {
	case <-in.over:
		return errSaidGoodbye
	default:
		in.receiver.Receive(f)
		return nil
	}
}
