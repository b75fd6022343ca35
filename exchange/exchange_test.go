package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cairnstream/cairn/dataflow"
)

const job = dataflow.JobID("flights-abc123")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// taken is a Receiver that keeps everything.
type taken struct {
	frames chan Frame
	broken chan error
}

func newTaken() *taken {
	return &taken{frames: make(chan Frame, 100_000), broken: make(chan error, 1)}
}

func (r *taken) Receive(f Frame)  { r.frames <- f }
func (r *taken) Broken(err error) { r.broken <- err }

func listen(t testing.TB) *Server {
	s, err := Listen("127.0.0.1:0", job)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// network makes an attempt's network behind s whose channels lead to peer.
func network(t testing.TB, s *Server, attempt dataflow.Attempt, peer string) *Network {
	n, err := NewNetwork(s, attempt, func(ChannelID) (Peer, error) {
		return Peer{Worker: "w2", Address: peer}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// setup makes two processes in attempt 1; channels lead from a to b.
func setup(t testing.TB) (a, b *Network) {
	sa, sb := listen(t), listen(t)
	return network(t, sa, 1, sb.Address()), network(t, sb, 1, sa.Address())
}

func channel(n int) ChannelID { return ChannelID{Job: job, Attempt: 1, Edge: 3, From: n, To: 7} }

func accept(t testing.TB, n *Network, id ChannelID, credit int, r Receiver) Granter {
	t.Helper()
	g, err := n.Accept(id, credit, r)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func open(t testing.TB, n *Network, id ChannelID) Sender {
	t.Helper()
	s, err := n.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func send(t testing.TB, s Sender, f Frame) {
	t.Helper()
	if err := s.Send(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func TestFramesArriveInOrderAndWhole(t *testing.T) {
	a, b := setup(t)
	r := newTaken()
	accept(t, b, channel(0), 1000, r)
	s := open(t, a, channel(0))
	var want []Frame
	for i := range 400 {
		want = append(want,
			Frame{Kind: Batch, Payload: bytes.Repeat([]byte{byte(i)}, i*i%40_000)},
			Frame{Kind: Watermark, Arg: int64(-i)})
	}
	want = append(want, Frame{Kind: Batch, Payload: bytes.Repeat([]byte{9}, 5<<20)},
		Frame{Kind: Barrier, Arg: 41, Payload: []byte("8 bytes.")}, Frame{Kind: End}, Frame{Kind: Idle, Arg: 1})
	for _, f := range want {
		send(t, s, f)
	}
	for i, w := range want {
		if got := <-r.frames; got.Kind != w.Kind || got.Arg != w.Arg || !bytes.Equal(got.Payload, w.Payload) {
			t.Fatalf("frame %d: got kind %d arg %d with %d bytes, want kind %d arg %d with %d bytes",
				i, got.Kind, got.Arg, len(got.Payload), w.Kind, w.Arg, len(w.Payload))
		}
	}
}

func TestBatchWaitsForCreditAndBarrierDoesNot(t *testing.T) {
	a, b := setup(t)
	r := newTaken()
	g := accept(t, b, channel(0), 2, r)
	s := open(t, a, channel(0))
	send(t, s, Frame{Kind: Batch})
	send(t, s, Frame{Kind: Batch})
	ctx, cancel := context.WithCancel(t.Context())
	blocked := make(chan error)
	go func() { blocked <- s.Send(ctx, Frame{Kind: Batch, Arg: 3}) }()
	cancel()
	if err := <-blocked; !errors.Is(err, context.Canceled) {
		t.Fatalf("third batch on two credits: %v", err)
	}
	send(t, s, Frame{Kind: Barrier, Arg: 1}) // overtakes nothing and needs no credit
	for _, want := range []FrameKind{Batch, Batch, Barrier} {
		if got := (<-r.frames).Kind; got != want {
			t.Fatalf("got kind %d, want %d", got, want)
		}
	}
	g.Grant(1)
	send(t, s, Frame{Kind: Batch})
	if got := (<-r.frames).Kind; got != Batch {
		t.Fatalf("got kind %d after a grant", got)
	}
}

func TestCreditBoundsWhatIsInFlight(t *testing.T) {
	const credit, batches = 4, 2000
	a, b := setup(t)
	var inFlight, most atomic.Int64
	r := newTaken()
	g := accept(t, b, channel(0), credit, receiverFunc(func(f Frame) {
		most.Store(max(most.Load(), inFlight.Add(1)))
		r.frames <- f
	}))
	s := open(t, a, channel(0))
	go func() {
		for range batches {
			<-r.frames
			inFlight.Add(-1)
			g.Grant(1)
		}
		close(r.broken)
	}()
	for range batches {
		send(t, s, Frame{Kind: Batch, Payload: make([]byte, 2000)})
	}
	<-r.broken
	if most.Load() > credit {
		t.Fatalf("%d batches were in flight on a credit of %d", most.Load(), credit)
	}
}

type receiverFunc func(Frame)

func (r receiverFunc) Receive(f Frame) { r(f) }
func (receiverFunc) Broken(error)      {}

func TestOpenWaitsForASlowReceiver(t *testing.T) {
	a, b := setup(t)
	r := newTaken()
	opened := make(chan error, 1)
	go func() {
		_, err := a.Open(t.Context(), channel(0))
		opened <- err
	}()
	accept(t, b, channel(0), 1, r)
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
}

func TestRefusals(t *testing.T) {
	sa, sb := listen(t), listen(t)
	sb.wait = time.Millisecond
	old := network(t, sa, 1, sb.Address())
	b := network(t, sb, 2, sa.Address())
	expect := func(err error, says string) {
		t.Helper()
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "w2") {
			t.Errorf("got %v, want a refusal by w2 that says %q", err, says)
		}
	}
	_, err := old.Open(t.Context(), channel(0))
	expect(err, "attempts up to 1 are over here")

	a := network(t, sa, 2, sb.Address())
	id := ChannelID{Job: job, Attempt: 2}
	_, err = a.Open(t.Context(), id)
	expect(err, "has had no receiver")

	accept(t, b, id, 1, newTaken())
	open(t, a, id)
	_, err = a.Open(t.Context(), id)
	expect(err, "already open")

	if _, err := NewNetwork(sb, 1, nil); err == nil {
		t.Error("an attempt that is over began again")
	}
	if _, err := b.Accept(channel(0), 1, newTaken()); err == nil {
		t.Error("a channel of another attempt was accepted")
	}
}

func TestEndOfTheReceiversProcessBreaksTheSender(t *testing.T) {
	sa, sb := listen(t), listen(t)
	a, b := network(t, sa, 1, sb.Address()), network(t, sb, 1, sa.Address())
	accept(t, b, channel(0), 1, newTaken())
	s := open(t, a, channel(0))
	send(t, s, Frame{Kind: Batch})
	blocked := make(chan error)
	go func() { blocked <- s.Send(t.Context(), Frame{Kind: Batch}) }()
	sb.grpc.Stop()
	err := <-blocked
	if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "w2") || !strings.Contains(err.Error(), sb.Address()) {
		t.Fatalf("got %v, want ErrBroken naming the peer", err)
	}
}

func TestEndOfTheSendersProcessBreaksTheReceiver(t *testing.T) {
	a, b := setup(t)
	r := newTaken()
	accept(t, b, channel(0), 1, r)
	s := open(t, a, channel(0))
	s.(*outbound).cancel(nil) // as if the process were gone: no goodbye
	if err := <-r.broken; !errors.Is(err, ErrBroken) {
		t.Fatalf("got %v, want ErrBroken", err)
	}
}

func TestCloseDeliversTheRestAndBreaksNothing(t *testing.T) {
	a, b := setup(t)
	r := newTaken()
	accept(t, b, channel(0), 50, r)
	s := open(t, a, channel(0))
	for range 50 {
		send(t, s, Frame{Kind: Batch, Payload: make([]byte, 10_000)})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), Frame{Kind: End}); !errors.Is(err, ErrClosed) {
		t.Fatalf("send after close: %v", err)
	}
	if err := b.Close(); err != nil { // waits for the reader
		t.Fatal(err)
	}
	if len(r.frames) != 50 || len(r.broken) != 0 {
		t.Fatalf("%d frames of 50 arrived, %d breaks", len(r.frames), len(r.broken))
	}
}

// TestSilentPeerIsNoticed: a peer that is cut off closes no socket.
func TestSilentPeerIsNoticed(t *testing.T) {
	sa, sb := listen(t), listen(t)
	b := network(t, sb, 1, sa.Address())
	accept(t, b, channel(0), 1, newTaken())
	cut := startProxy(t, sb.Address())
	c, err := dial(t.Context(), Peer{Worker: "w2", Address: cut.address}, 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.open(t.Context(), channel(0))
	if err != nil {
		t.Fatal(err)
	}
	cut.silence.Store(true)
	<-o.done
	if !errors.Is(o.err, ErrBroken) || !strings.Contains(o.err.Error(), "no sign of life") {
		t.Errorf("got %v", o.err)
	}
	if err := c.close(); err != nil {
		t.Error(err)
	}
}

// proxy passes bytes on until it falls silent.
type proxy struct {
	address string
	silence atomic.Bool
}

func startProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.serve(l, to)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return p
}

func (p *proxy) serve(l net.Listener, to string) {
	from, err := l.Accept()
	if err != nil {
		return
	}
	defer from.Close()
	dst, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		p.pass(from, dst)
	}()
	p.pass(dst, from)
	dst.Close()
	from.Close()
	<-back
}

func (p *proxy) pass(to, from net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			to.Close()
			return
		}
		if !p.silence.Load() {
			to.Write(buf[:n])
		}
	}
}

func TestBatchWithoutCreditIsAnError(t *testing.T) {
	in := newInbound(channel(0), 1, newTaken())
	in.told.Store(1)
	if err := in.take(Frame{Kind: Batch}); err != nil {
		t.Fatal(err)
	}
	if err := in.take(Frame{Kind: Batch}); err == nil {
		t.Fatal("a batch without credit was taken")
	}
}

func FuzzNextFrame(f *testing.F) {
	f.Add(appendHeader(nil, Frame{Kind: Batch, Arg: -1}))
	f.Add(append(appendHeader(nil, Frame{Kind: Barrier, Arg: 5, Payload: []byte("abc")}), "abc"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, rest, err := nextFrame(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again := append(appendHeader(nil, frame), frame.Payload...)
		if !bytes.Equal(append(again, rest...), b) {
			t.Fatalf("frame of %x encodes to %x", b, again)
		}
	})
}

func TestChannelIDSurvivesTheWire(t *testing.T) {
	id := ChannelID{Job: job, Attempt: 1 << 40, Edge: 5, From: 1023, To: 0}
	if got, err := decodeID(encodeID(id)); err != nil || got != id {
		t.Fatalf("got %v, %v", got, err)
	}
	if _, err := decodeID([]byte("short")); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("short id: %v", err)
	}
}

func BenchmarkChannel(b *testing.B) {
	for _, size := range []int{100, 4 << 10, 32 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) { benchmarkChannel(b, size) })
	}
}

// granting takes batches and grants as many.
type granting chan Granter

func (g granting) Receive(Frame) {
	granter := <-g
	granter.Grant(1)
	g <- granter
}
func (granting) Broken(error) {}

func benchmarkChannel(b *testing.B, size int) {
	from, to := setup(b)
	r := make(granting, 1)
	r <- accept(b, to, channel(0), 8, r)
	s := open(b, from, channel(0))
	payload := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		send(b, s, Frame{Kind: Batch, Payload: payload})
	}
}
