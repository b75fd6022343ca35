package controller

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/wire"
)

func TestWatchStreamsWhatIsApplied(t *testing.T) {
	p := newPair(t)
	stream, err := p.toFollower.Watch(t.Context(), &wire.WatchRequest{Job: "a-1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil { // from here on nothing is missed
		t.Fatal(err)
	}
	p.follower.watchers.observe([]ledger.Event{{Type: "other", Job: "b-1"}, {Type: ledger.EventJobSubmitted, Job: "a-1", Index: 9}})
	e, err := stream.Recv()
	if err != nil || e.Index != 9 || e.Job != "a-1" {
		t.Errorf("got %v, %v", e, err)
	}
}

// TestSlowWatcherIsCut: the state machine never waits; the watcher is told.
func TestSlowWatcherIsCut(t *testing.T) {
	p := newPair(t)
	stream, err := p.toFollower.Watch(t.Context(), &wire.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	flood := make([]ledger.Event, 100_000)
	p.follower.watchers.observe(flood) // returns at once
	for {
		if _, err := stream.Recv(); err != nil {
			wantCode(t, err, codes.Unavailable, "watch again")
			return
		}
	}
}
