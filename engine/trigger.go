package engine

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// Trigger begins a checkpoint. Its barriers carry all of it, so that a process that the
// leader has not reached learns it from them.
type Trigger struct {
	ID dataflow.CheckpointID
	At time.Time // when it was begun
	// Mode says how barriers pass.
	Mode Mode
	// AlignedTimeout lets the barriers of an Aligned checkpoint overtake what is in flight
	// when so much time has passed since At. 0: never. It travels in milliseconds,
	// rounded up.
	AlignedTimeout time.Duration
	Afterwards     Afterwards
}

// Mode says how the barriers of a checkpoint pass. The numbers are on the wire.
type Mode uint8

// The modes of a checkpoint.
const (
	Aligned     Mode = 0 // exactly once: a channel whose barrier came waits for the others
	Unaligned   Mode = 1 // exactly once: barriers overtake what is in flight, which is kept
	AtLeastOnce Mode = 2 // barriers are counted, no channel waits
	Savepoint   Mode = 3 // aligned, whatever the job's options are
)

// Afterwards says what sources do after they have sent the barrier. The numbers are
// on the wire.
type Afterwards uint8

// What sources do after a checkpoint.
const (
	GoOn  Afterwards = 0
	Hold  Afterwards = 1 // read nothing until the outcome: the job is to stop there
	Drain Afterwards = 2 // before the barrier: end as if the data had ended; then hold
)

// mayOvertake tells whether the barriers may overtake what is in flight, now or later.
func (t *Trigger) mayOvertake() bool {
	return t.Mode == Unaligned || t.Mode == Aligned && t.AlignedTimeout > 0
}

// deadline is when the barriers of an aligned checkpoint begin to overtake, for who has the
// first news of it at first: clocks differ, so that one which is behind does not wait for longer
// than it should.
func (t *Trigger) deadline(first time.Time) time.Time {
	if t.At.Before(first) {
		first = t.At
	}
	return first.Add(t.AlignedTimeout)
}

// payload is what a barrier's frame carries besides the id: the trigger's time (8 bytes,
// Unix nanoseconds), mode (1), afterwards (1) and the aligned timeout (4, milliseconds).
func (t *Trigger) payload() []byte {
	p := binary.LittleEndian.AppendUint64(make([]byte, 0, 14), uint64(t.At.UnixNano()))
	p = append(p, byte(t.Mode), byte(t.Afterwards))
	ms := (max(t.AlignedTimeout, 0) + time.Millisecond - 1) / time.Millisecond // not 0, which is never
	return binary.LittleEndian.AppendUint32(p, uint32(min(ms, math.MaxUint32)))
}

// triggerOf reads a barrier's frame. Its payload may be of an older version, which had the
// time only.
func triggerOf(id dataflow.CheckpointID, p []byte) *Trigger {
	t := &Trigger{ID: id}
	if len(p) >= 8 {
		t.At = time.Unix(0, int64(binary.LittleEndian.Uint64(p)))
	}
	if len(p) >= 14 {
		t.Mode, t.Afterwards = Mode(p[8]), Afterwards(p[9])
		t.AlignedTimeout = time.Duration(binary.LittleEndian.Uint32(p[10:])) * time.Millisecond
	}
	return t
}
