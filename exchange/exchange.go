// Package exchange moves batches, watermarks and barriers between subtasks in
// different processes over gRPC, with credits.
//
// A channel carries frames from one subtask to another in order. The receiver
// grants credit, one per batch frame; a sender without credit waits, so memory
// in flight is bounded by what receivers granted. Frames other than batches
// need no credit. A frame of another attempt is refused when the channel opens.
// The exchange sees bytes only: what is in a batch is the engine's business.
package exchange

import (
	"context"
	"fmt"

	"github.com/cairnstream/cairn/dataflow"
)

// ChannelID names a channel: edge counts the plan's edges.
type ChannelID struct {
	Job     dataflow.JobID
	Attempt dataflow.Attempt
	Edge    int
	From    int // subtask upstream
	To      int // subtask downstream
}

// String is job/attempt/edge:from->to.
func (c ChannelID) String() string {
	return fmt.Sprintf("%s/%d/%d:%d->%d", c.Job, c.Attempt, c.Edge, c.From, c.To)
}

// FrameKind says what a frame carries.
type FrameKind uint8

// The kinds of frames.
const (
	Batch     FrameKind = 1 // Payload: records, encoded by the edge's codec
	Watermark FrameKind = 2 // Arg: Unix milliseconds
	Barrier   FrameKind = 3 // Arg: checkpoint id; Payload: how it passes, in the engine's words
	End       FrameKind = 4 // no more records; barriers still come
	Idle      FrameKind = 5 // Arg: 1 idle, 0 active again
	Cancel    FrameKind = 6 // Arg: checkpoint id, whose barrier will not come or does not count
)

// Frame is the unit of transport. Payload belongs to whoever holds the frame.
type Frame struct {
	Kind    FrameKind
	Arg     int64
	Payload []byte
	// More says that the sender sends another frame at once: both go in one message.
	// It is not part of what is received.
	More bool
}

// Sender is the sending end of a channel. One goroutine uses it.
type Sender interface {
	// Send hands a frame over. A batch waits for credit, until ctx ends.
	// The sender may not touch the payload afterwards.
	Send(ctx context.Context, f Frame) error
	// TrySend is Send, but a batch without credit is not taken: ok is false. What f
	// holds is then still the sender's.
	TrySend(ctx context.Context, f Frame) (ok bool, err error)
	// Notify has wake called whenever credit has come, from any goroutine. It must not
	// block. Notify is called once, before anything is sent.
	Notify(wake func())
	Close() error
}

// Receiver is what the engine gives to take a channel's frames.
type Receiver interface {
	// Receive takes the next frame. It must not block: there are never more
	// batches on their way than credit was granted.
	Receive(f Frame)
	// Broken tells that the channel ended before its attempt did.
	Broken(err error)
}

// Granter gives a channel's sender more credit.
type Granter interface{ Grant(batches int) }
