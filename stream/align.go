package stream

import (
	"errors"
	"fmt"
	"time"
)

// Align keeps a source together in event time with all sources of the job that name the same
// group: a split whose watermark is ahead of the group's lowest by more than drift is not
// read until the others have caught up (Flink's watermark alignment). What waits downstream
// for the watermark, such as open windows and the buffers of joins, is then bounded by drift
// and not by how much faster one split can be read than another.
//
//	orders := stream.From(p, "orders", …, stream.Monotonic(), stream.Align("shop", time.Minute))
//	clicks := stream.From(p, "clicks", …, stream.Monotonic(), stream.Align("shop", time.Minute))
//
// It counts splits, in one subtask or in several, on one machine or on many; between
// machines the leader carries the news, a few times a second. Splits that have ended or are
// idle do not hold back others. A split without records does, also one that never had any:
// use IdleAfter with it. Reading goes on by batches, so that a split may be ahead by drift
// and a batch.
//
// Alignment changes no result. When nobody leads the cluster for some seconds, sources
// on different machines go on without each other's news.
//
// group is not empty, and drift is at least 1 ms. The source needs watermarks: Monotonic,
// BoundedOutOfOrderness, or its own.
func Align(group string, drift time.Duration) Option {
	return sourceOption("Align", func(s *sourceSettings) {
		s.alignGroup, s.alignDrift, s.aligned = group, drift, true
	})
}

// checkAlign refuses an Align that makes no sense.
func (s *sourceSettings) checkAlign() error {
	switch {
	case !s.aligned:
		return nil
	case s.alignGroup == "":
		return errors.New("Align with an empty group: name the sources that shall stay together")
	case s.alignDrift < time.Millisecond:
		return fmt.Errorf("Align with a drift of %v: use 1ms or more", s.alignDrift)
	}
	return nil
}
