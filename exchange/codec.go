package exchange

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// message is one gRPC message: frames, one behind the other.
type message struct {
	out   mem.BufferSlice // to send; payloads are in it as they came
	bytes int             // in out, and in tail
	tail  []byte          // headers and small payloads not yet in out
	in    []byte          // received
}

// add appends a frame.
func (m *message) add(f Frame) {
	m.tail = appendHeader(m.tail, f)
	m.bytes += headerBytes + len(f.Payload)
	if len(f.Payload) <= inlineBytesMax {
		m.tail = append(m.tail, f.Payload...)
		return
	}
	m.flush()
	m.out = append(m.out, mem.SliceBuffer(f.Payload))
}

// flush moves the tail to out. What is appended afterwards goes behind it in
// the same memory, so that a message costs one small allocation.
func (m *message) flush() {
	if len(m.tail) == 0 {
		return
	}
	m.out = append(m.out, mem.SliceBuffer(m.tail))
	m.tail = m.tail[len(m.tail):]
}

// each calls f for every frame received.
func (m *message) each(f func(Frame) error) error {
	for rest := m.in; len(rest) > 0; {
		frame, after, err := nextFrame(rest)
		if err != nil {
			return err
		}
		if err := f(frame); err != nil {
			return err
		}
		rest = after
	}
	return nil
}

func messageOf(f Frame) *message {
	m := &message{}
	m.add(f)
	return m
}

// rawCodec passes messages through gRPC as they are. Sending copies no payload.
// Receiving joins the transport's pieces once, into memory that the frames then
// share and the garbage collector owns.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

// Name is part of the content type on the wire.
func (rawCodec) Name() string { return "cairn-frames" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*message)
	if !ok {
		return nil, fmt.Errorf("exchange codec: can not encode a %T", v)
	}
	m.flush()
	return m.out, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("exchange codec: can not decode a %T", v)
	}
	m.in = data.Materialize()
	return nil
}
