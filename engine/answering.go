package engine

import (
	"context"

	"github.com/cairnstream/cairn/exchange"
)

// answering is a node whose results come later, from goroutines of its own that
// wake the subtask. The subtask's goroutine makes all calls.
type answering interface {
	// begin starts what a restore brought. The node's goroutines end with ctx.
	begin(ctx context.Context, wake chan struct{})
	// answers emits results that have come, and tells whether there were any.
	answers() (any bool, err error)
	// held tells that the node has more records than it may work on: nothing
	// that could bring more is done in this subtask until it has fewer.
	held() bool
	// pending tells that results, or watermarks behind them, are still to come.
	pending() bool
	// end ends the node's goroutines and returns when none is left.
	end()
}

// beginAnswering starts the nodes whose results come later, and returns what ends them.
func (s *subtask) beginAnswering(ctx context.Context) (end func()) {
	for _, n := range s.nodes {
		if a, ok := n.(answering); ok {
			s.answering = append(s.answering, a)
			a.begin(ctx, s.wake)
		}
	}
	return func() {
		for _, a := range s.answering {
			a.end()
		}
	}
}

// takeAnswers emits the results that have come, and what waited for the last of them.
func (s *subtask) takeAnswers() (any bool, err error) {
	for _, a := range s.answering {
		came, err := a.answers()
		if err != nil {
			return false, err
		}
		any = any || came
	}
	if !any || s.pending() {
		return any, nil
	}
	if s.ended {
		return any, s.endOutput()
	}
	return any, s.tellIdle(s.inputIdle())
}

// inputIdle tells whether the subtask's input does not count for the watermark.
func (s *subtask) inputIdle() bool {
	if s.source != nil {
		return s.source.idle()
	}
	return s.valve.idle
}

// held tells whether a node of the chain has more records than it may work on.
func (s *subtask) held() bool {
	for _, a := range s.answering {
		if a.held() {
			return true
		}
	}
	return false
}

// pending tells whether a node of the chain has records without results. While it
// has, the subtask is neither idle nor at its end: channels that it no longer held
// back could let the watermark pass those records.
func (s *subtask) pending() bool {
	for _, a := range s.answering {
		if a.pending() {
			return true
		}
	}
	return false
}

// stepHeld is step while a node is held. A source is not read, and of the channels no
// batch is taken. A barrier is, so that it passes if no record precedes it; one
// behind records waits for them, as it would behind a slow operator. A watermark is,
// unless it could have timers fire.
func (s *subtask) stepHeld(ctx context.Context) (worked bool, err error) {
	if s.source != nil || s.replay.left() {
		return false, nil
	}
	i, e, ok, err := s.gate.pollIf(func(e element) bool {
		return e.kind == exchange.Barrier || e.kind != exchange.Batch && !s.keyed()
	})
	if err != nil || !ok {
		return false, err
	}
	return true, s.take(ctx, i, e)
}

// keyed tells whether the chain has keyed state, which is the head's: timers come
// with it.
func (s *subtask) keyed() bool {
	head, ok := s.nodes[0].(interface{ hasStore() bool })
	return ok && head.hasStore()
}
