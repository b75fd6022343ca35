package controller

import (
	"math"
	"time"

	"github.com/cairnstream/cairn/wire"
)

// sourceNewsMax is how long a process's word on its aligned sources is passed on. Processes
// repeat it several times a second; one that has been silent for so long may be anywhere.
const sourceNewsMax = 3 * time.Second

// sourceNews is the latest word of a process on its aligned sources.
type sourceNews struct {
	times []*wire.SourceTime
	at    time.Time
}

// takeSourceTimes notes how far a process's aligned sources have come and answers how far
// all others have. It leaves out groups of which this leader has not heard every subtask
// lately: the process then goes by what it heard before, and after a while by itself.
func (l *leader) takeSourceTimes(s *session, m *wire.SourceTimes) {
	j, p := l.share(s, m.Job, m.Attempt)
	if p == nil {
		return
	}
	now := time.Now()
	p.sources = sourceNews{m.Times, now}
	var others []*wire.SourceTime
	for _, mine := range m.Times {
		if t := elsewhere(j.processes, p, mine, now); t != nil {
			others = append(others, t)
		}
	}
	if len(others) == 0 {
		return
	}
	l.order(p.worker, p.incarnation, &wire.LeaderMessage{Body: &wire.LeaderMessage_SourceTimes{SourceTimes: &wire.SourceTimes{
		Job: m.Job, Attempt: m.Attempt, Times: others,
	}}})
}

// elsewhere is how far a group has come in all processes but one, or nil if not all of
// its subtasks are known.
func elsewhere(all []*process, but *process, mine *wire.SourceTime, now time.Time) *wire.SourceTime {
	out := &wire.SourceTime{Group: mine.Group, LowestMs: math.MaxInt64, Of: mine.Of}
	for _, p := range all {
		if p == but || now.Sub(p.sources.at) >= sourceNewsMax {
			continue
		}
		for _, t := range p.sources.times {
			if t.Group == mine.Group {
				out.LowestMs = min(out.LowestMs, t.LowestMs)
				out.Subtasks += t.Subtasks
			}
		}
	}
	if mine.Subtasks+out.Subtasks < mine.Of {
		return nil
	}
	return out
}
