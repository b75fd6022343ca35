package files

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"time"

	"github.com/cairnstream/cairn/connector"
)

// errNoTime is returned by Open when a replayed source has no Time.
var errNoTime = errors.New("a Replay needs the source's Time")

// Replay makes a source deliver rows at the pace of their event times. When a
// row is due follows from the event times of the whole file, so all splits of
// a file keep step. A reader that starts in the middle goes on from there as if
// no time had passed. Several files are replayed side by side, each by itself.
//
// Rows should be ordered by time; one that is older than one before it comes
// together with that one. Readers are connector.Watermarkers: event time goes
// on also while a split has no rows.
type Replay struct {
	// Speed is how many times as fast as event time the rows come. Default 1;
	// not used with a Duration.
	Speed float64
	// Duration is how long a whole file takes, compressed silences included; the
	// speed follows from it. 0: use Speed.
	Duration time.Duration
	// MaxSilence is the longest time without any row of the file; a longer
	// silence is compressed to it. Default 20 ms. Negative: without limit.
	MaxSilence time.Duration
}

const defaultMaxSilence = 20 * time.Millisecond

// replayTick is the least time for which a reader has nothing due: rows come in
// groups of at least this much. Each group costs a wake-up, and a batch on every
// channel behind the source, so 200 a second are enough.
const replayTick = 5 * time.Millisecond

// schedule is when a file's event times are due. It takes 16 bytes for each
// different event time of the file.
type schedule struct {
	times    []int64         // ascending: the highest event times, as the file goes on
	due      []time.Duration // since the file's beginning
	disorder int64           // by how much a row is behind the highest time before it, at most
}

// plan reads a file's event times and makes its schedule.
func (s *Source[T]) plan(f *file, d splitData) (*schedule, error) {
	if s.Time == nil {
		return nil, errNoTime
	}
	d.Stride, d.Index = 1, 0
	c, err := s.format(s, f, d, place{})
	if err != nil {
		return nil, err
	}
	sched := &schedule{}
	for {
		row, err := c.next()
		var bad *badRow
		switch {
		case errors.As(err, &bad):
		case err == io.EOF:
			sched.pace(*s.Replay)
			return sched, nil
		case err != nil:
			return nil, fmt.Errorf("read event times: %w", err)
		default:
			sched.add(s.Time(*row))
		}
	}
}

func (s *schedule) add(t int64) {
	n := len(s.times)
	if n > 0 && t <= s.times[n-1] {
		s.disorder = max(s.disorder, s.times[n-1]-t)
		return
	}
	s.times = append(s.times, t)
}

// pace sets when each event time is due.
func (s *schedule) pace(r Replay) {
	silence := r.MaxSilence
	if silence == 0 {
		silence = defaultMaxSilence
	}
	if silence < 0 {
		silence = 1<<63 - 1
	}
	s.due = make([]time.Duration, len(s.times))
	scale := 1.0
	switch {
	case r.Duration > 0:
		scale = s.fit(r.Duration, silence)
	case r.Speed > 0:
		scale = 1 / r.Speed
	}
	s.lay(scale, silence)
}

// lay fills due for a scale (wall time per event time) and returns the whole
// length.
func (s *schedule) lay(scale float64, silence time.Duration) time.Duration {
	var at time.Duration
	for i := 1; i < len(s.times); i++ {
		gap := float64(s.times[i]-s.times[i-1]) * float64(time.Millisecond) * scale
		if gap < float64(silence) {
			at += time.Duration(gap)
		} else {
			at += silence
		}
		s.due[i] = at
	}
	return at
}

// fit finds the scale with which the file takes the wanted time. If silences
// may not be long enough for that, it takes less.
func (s *schedule) fit(want, silence time.Duration) float64 {
	lo, hi := 0.0, 1.0
	for ; s.lay(hi, silence) < want && hi < 1e12; hi *= 2 {
	}
	for range 60 { // to the precision of a float64
		mid := (lo + hi) / 2
		if s.lay(mid, silence) < want {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// at is when event time t is due.
func (s *schedule) at(t int64) time.Duration {
	i := sort.Search(len(s.times), func(i int) bool { return s.times[i] >= t })
	if i == len(s.times) {
		i--
	}
	return s.due[i]
}

// reached is the highest event time that is due, or NoTime.
func (s *schedule) reached(elapsed time.Duration) int64 {
	i := sort.Search(len(s.due), func(i int) bool { return s.due[i] > elapsed })
	if i == 0 {
		return connector.NoTime
	}
	return s.times[i-1]
}

// pace is one reader's progress on a schedule.
type pace struct {
	*schedule
	started   bool
	base      time.Time // when the file's beginning would have been due
	top       int64     // the highest event time of a row so far
	watermark int64
	late      time.Duration // how long the last row that was looked at has been due
}

// lateMin is how late a row is that counts as backlog: far above what scheduling and
// batches cost, and short beside the time between two checkpoints.
const lateMin = time.Second

// wait is how long the next row, of event time t, is not due; 0 if it is. It
// moves the watermark.
//
// Every row from here on has, in the order of the file, a highest time so far
// of top or more, and is itself at most disorder behind that. So no later
// record is at or before top-1-disorder, however far the schedule has come;
// rows that are due and not read yet (top is theirs) hold it back.
func (p *pace) wait(now time.Time, t int64) time.Duration {
	if !p.started {
		p.started, p.top = true, t
		p.base = now.Add(-p.at(t))
	}
	p.top = max(p.top, t)
	elapsed := now.Sub(p.base)
	if reached := p.reached(elapsed); reached != connector.NoTime {
		p.watermark = max(p.watermark, min(reached, p.top-1)-p.disorder)
	}
	due := p.at(p.top) - elapsed
	p.late = max(0, -due)
	if due > 0 {
		return max(due, replayTick)
	}
	return 0
}
