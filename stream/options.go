package stream

import (
	"slices"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// Option is a choice about one operator. A choice that an operator does not
// have is a problem of the job, reported when it starts.
type Option func(*settings)

// settings is what the options of one operator chose.
type settings struct {
	uid         string
	parallelism int

	source     sourceSettings
	window     windowSettings
	firstMatch bool
	onSource   []string
	onWindow   []string

	name, kind string // of the operator, for problems
	sides      []sideChoice
	poison     *Stream[Poison]
	unused     []string // options that the operator has not taken yet: see use
}

// use takes an option: the operator has it.
func (s *settings) use(option string) {
	s.unused = slices.DeleteFunc(s.unused, func(name string) bool { return name == option })
}

type windowSettings struct {
	lateTarget any // *Stream[T]
	lateness   time.Duration
	trigger    Trigger
}

type sourceSettings struct {
	timestamp  any // func(T) int64
	watermarks bool
	outOfOrder time.Duration
	idleAfter  time.Duration
	alignGroup string
	alignDrift time.Duration
	aligned    bool
	failOnBad  bool
	badTarget  *Stream[connector.BadRecord]
}

// UID names the operator for ever: its state is found by this name. Operators
// with state must have one.
func UID(uid string) Option { return func(s *settings) { s.uid = uid } }

// Parallelism is the number of subtasks of this operator, whatever a submit says.
func Parallelism(n int) Option { return func(s *settings) { s.parallelism = n } }

// Timestamps gives the event time of a source's records. Without it they have
// the time that the source itself gives, or none. How far these times go back is for
// BoundedOutOfOrderness or Monotonic to say: without either, event time stands still
// until the source ends, and so does what waits for it.
func Timestamps[T any](f func(T) time.Time) Option {
	return TimestampsMillis(func(v T) int64 { return f(v).UnixMilli() })
}

// TimestampsMillis is Timestamps for times in Unix milliseconds.
func TimestampsMillis[T any](f func(T) int64) Option {
	return sourceOption("Timestamps", func(s *sourceSettings) { s.timestamp = f })
}

// Monotonic says that a split's event times never go back: its watermark
// follows right behind them. A source's watermark is the lowest of its splits'.
func Monotonic() Option {
	return sourceOption("Monotonic", func(s *sourceSettings) { s.watermarks, s.outOfOrder = true, 0 })
}

// BoundedOutOfOrderness says that event times in a split go back by at most d:
// its watermark trails the highest by d. What comes later than that is late.
func BoundedOutOfOrderness(d time.Duration) Option {
	return sourceOption("BoundedOutOfOrderness", func(s *sourceSettings) { s.watermarks, s.outOfOrder = true, d })
}

// IdleAfter makes a split that had no record for d stop holding back the
// watermark until it has one again. Default: never.
func IdleAfter(d time.Duration) Option {
	return sourceOption("IdleAfter", func(s *sourceSettings) { s.idleAfter = d })
}

// FailOnBadRecord makes the job fail at the first record that can not be
// decoded. By default bad records are counted and logged, and sent to where
// BadRecordsTo says.
func FailOnBadRecord() Option {
	return sourceOption("FailOnBadRecord", func(s *sourceSettings) { s.failOnBad = true })
}

// BadRecordsTo sets *to to the stream of a source's records that could not be
// decoded.
func BadRecordsTo(to *Stream[connector.BadRecord]) Option {
	return sourceOption("BadRecordsTo", func(s *sourceSettings) { s.badTarget = to })
}

func sourceOption(name string, set func(*sourceSettings)) Option {
	return func(s *settings) {
		set(&s.source)
		s.onSource = append(s.onSource, name)
	}
}
