package task

import (
	"time"

	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/wire"
)

// sourceTimesEvery is how often a process tells how far its aligned sources have come, and
// hears of the others. It bounds how long a source waits for nothing: a tenth of what
// a drift of two seconds allows.
const sourceTimesEvery = 200 * time.Millisecond

// tellSourceTimes tells the agent, until stop. Attempts without sources that are
// aligned across processes have nothing to tell.
func (e *execution) tellSourceTimes(stop <-chan struct{}, running attempt) {
	tick := time.NewTicker(sourceTimesEvery)
	defer tick.Stop()
	for {
		if times := running.SourceTimes(); len(times) > 0 {
			m := &wire.SourceTimes{Job: e.order.Job, Attempt: e.order.Attempt}
			for _, t := range times {
				m.Times = append(m.Times, &wire.SourceTime{Group: t.Group, LowestMs: t.Lowest, Subtasks: int32(t.Subtasks), Of: int32(t.Of)})
			}
			e.process.send(&wire.TaskMessage{Body: &wire.TaskMessage_SourceTimes{SourceTimes: m}})
		}
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// alignSources takes how far the sources of all other processes have come.
func (e *execution) alignSources(m *wire.SourceTimes) {
	running := e.opened()
	if running == nil {
		return
	}
	others := make([]engine.SourceTime, 0, len(m.Times))
	for _, t := range m.Times {
		others = append(others, engine.SourceTime{Group: t.Group, Lowest: t.LowestMs, Subtasks: int(t.Subtasks), Of: int(t.Of)})
	}
	running.AlignSources(others)
}
