package exchange

import (
	"bytes"
	"errors"
	"testing"
)

// TestASenderWithoutCreditIsToldInsteadOfWaiting sends more than was granted: what has no
// credit stays the sender's, the barrier and the marker go on, and credit wakes the sender.
func TestASenderWithoutCreditIsToldInsteadOfWaiting(t *testing.T) {
	a, b := setup(t)
	r := newTaken()
	g := accept(t, b, channel(0), 1, r)
	s := open(t, a, channel(0))
	woken := make(chan struct{}, 1)
	s.Notify(func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	try := func(f Frame, want bool) {
		t.Helper()
		if ok, err := s.TrySend(t.Context(), f); ok != want || err != nil {
			t.Fatalf("kind %d: taken %v, error %v; want %v", f.Kind, ok, err, want)
		}
	}
	first, second := Frame{Kind: Batch, Payload: []byte("first")}, Frame{Kind: Batch, Payload: []byte("second")}
	try(first, true)
	try(second, false)
	try(Frame{Kind: Barrier, Arg: 7, Payload: []byte("t")}, true)
	try(Frame{Kind: Cancel, Arg: 7}, true)
	for _, want := range []Frame{first, {Kind: Barrier, Arg: 7, Payload: []byte("t")}, {Kind: Cancel, Arg: 7}} {
		if got := <-r.frames; got.Kind != want.Kind || got.Arg != want.Arg || !bytes.Equal(got.Payload, want.Payload) {
			t.Errorf("received %+v, want %+v", got, want)
		}
	}
	g.Grant(1)
	<-woken
	try(second, true)
	if got := <-r.frames; string(got.Payload) != "second" {
		t.Errorf("received %q, want what had waited", got.Payload)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.TrySend(t.Context(), second); ok || !errors.Is(err, ErrBroken) {
		t.Errorf("a closed channel takes it: %v, %v", ok, err)
	}
}
