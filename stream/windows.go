package stream

import (
	"errors"
	"fmt"
	"time"
)

// Windows says into which windows of event time records fall: Tumbling, Sliding,
// Session or Global.
type Windows struct {
	kind                windowKind
	size, slide, offset int64 // milliseconds; of a session, size is the gap
	broken              bool  // one of them was given with a part of a millisecond
}

// isBroken tells whether a duration is not in whole milliseconds, as event time is.
func isBroken(d time.Duration) bool { return d%time.Millisecond != 0 }

type windowKind int

const (
	tumbling windowKind = iota
	sliding
	session
	global
)

func (k windowKind) String() string {
	return [...]string{"Tumbling", "Sliding", "Session", "Global"}[k]
}

// Tumbling are windows of a fixed size that follow each other, aligned with the
// Unix epoch: hours begin at full hours, UTC. size is at least 1 ms.
func Tumbling(size time.Duration) Windows {
	return Windows{kind: tumbling, size: size.Milliseconds(), slide: size.Milliseconds(), broken: isBroken(size)}
}

// Sliding are windows of a fixed size, of which one begins every slide, aligned with
// the Unix epoch: Sliding(time.Hour, time.Minute) is the last hour, every minute. They
// overlap if slide is shorter than size; if it is longer, records between two windows
// are in none and go nowhere. Both are at least 1 ms.
func Sliding(size, slide time.Duration) Windows {
	return Windows{kind: sliding, size: size.Milliseconds(), slide: slide.Milliseconds(), broken: isBroken(size) || isBroken(slide)}
}

// Session are windows that last as long as a key has records: from the first to gap after
// the last, where each comes less than gap after the one before. One that comes gap after it
// begins another session, also if the watermark has not closed this one yet: what is in a
// session does not depend on when records come. (Flink would join them if it has not.) gap is
// at least 1 ms.
func Session(gap time.Duration) Windows {
	return Windows{kind: session, size: gap.Milliseconds(), broken: isBroken(gap)}
}

// Global is one window for all time. It ends when all input has, so it is for
// inputs with an end, or wants a trigger. Its state stays until then. Records need no event
// time. Its Start and End are the lowest and the highest int64; its results have the event time
// of the record (AtCount) or of the moment (EveryEventTime) that they come at, or NoTime.
func Global() Windows { return Windows{kind: global} }

// Offset shifts Tumbling and Sliding windows: Tumbling(24*time.Hour).Offset(6*time.Hour)
// are days that begin at 6 o'clock UTC.
func (w Windows) Offset(d time.Duration) Windows {
	w.offset, w.broken = d.Milliseconds(), w.broken || isBroken(d)
	return w
}

// start returns the beginning of the last window that begins at or before t.
func (w Windows) start(t int64) int64 { return t - modulo(t-w.offset, w.slide) }

// modulo is the remainder that is never negative.
func modulo(t, by int64) int64 {
	r := t % by
	if r < 0 {
		r += by
	}
	return r
}

// check says what is wrong with the windows.
func (w Windows) check() error {
	switch {
	case w.kind == session && w.size < 1:
		return errors.New("the gap of Session windows is at least 1ms")
	case w.kind != global && w.size < 1:
		return errors.New("windows are at least 1ms long")
	case w.kind == sliding && w.slide < 1:
		return errors.New("Sliding windows begin at least 1ms apart")
	case w.offset != 0 && (w.kind == session || w.kind == global):
		return fmt.Errorf("%v windows have no Offset", w.kind)
	case w.broken:
		return fmt.Errorf("%v windows with a part of a millisecond: event time is in whole milliseconds", w.kind)
	}
	return nil
}

// overlap tells whether a record can be in several windows.
func (w Windows) overlap() bool { return w.kind == sliding && w.slide < w.size }
