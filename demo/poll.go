package demo

import (
	"context"
	"sync"
	"time"

	"github.com/cairnstream/cairn/admin"
	"github.com/cairnstream/cairn/wire"
)

// pollEvery is how often the job's own figures are asked for: they are for the
// eye, and a process tells them once a second.
const pollEvery = 400 * time.Millisecond

// poller keeps the latest answer to "how is the job": where its subtasks run,
// how fast its sources read and how far event time has come.
type poller struct {
	mu        sync.Mutex
	job       *wire.GetJobResponse
	rate      float64 // records per second
	watermark int64   // of the source that is furthest behind, Unix milliseconds; 0 before the first
}

// run asks until ctx ends. A question without an answer changes nothing: the
// next one comes soon.
func (p *poller) run(ctx context.Context, c *admin.Client, job string) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		p.ask(ctx, c, job)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *poller) ask(ctx context.Context, c *admin.Client, job string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var r *wire.GetJobResponse
	err := c.Do(ctx, "show job", func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.GetJob(ctx, &wire.GetJobRequest{Job: job})
		return err
	})
	if err == nil {
		p.take(r)
	}
}

// sourceVertex is the job's source: the plan numbers vertices as the job
// declares them.
const sourceVertex = 0

func (p *poller) take(r *wire.GetJobResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.job, p.rate = r, 0
	var behind int64
	for _, s := range r.Subtasks {
		if s.Subtask.GetVertex() == sourceVertex && s.Stats != nil {
			p.rate += s.Stats.RecordsInPerSecond
			if w := s.Stats.WatermarkMs; behind == 0 || w < behind {
				behind = w
			}
		}
	}
	p.watermark = max(p.watermark, behind) // a restart goes back a little; the eye need not
}

// tasksByWorker counts the job's subtasks on each worker.
func (d *demo) tasksByWorker() map[string]int {
	d.poll.mu.Lock()
	defer d.poll.mu.Unlock()
	n := map[string]int{}
	if d.poll.job != nil {
		for _, s := range d.poll.job.Subtasks {
			n[s.Worker]++
		}
	}
	return n
}

// busiestWorker is the live worker with the most subtasks; the first of equals.
func (d *demo) busiestWorker() string {
	tasks := d.tasksByWorker()
	best := ""
	for _, p := range d.cluster.workers {
		if p.PID() != 0 && tasks[p.Name] > 0 && (best == "" || tasks[p.Name] > tasks[best]) {
			best = p.Name
		}
	}
	return best
}

// progress is how far the replay has come, and how fast records are read.
func (d *demo) progress() (eventTime time.Time, share, rate float64) {
	d.poll.mu.Lock()
	defer d.poll.mu.Unlock()
	if d.poll.watermark <= 0 {
		return time.Time{}, 0, d.poll.rate
	}
	eventTime = time.UnixMilli(min(d.poll.watermark, dataTo.UnixMilli())).UTC()
	share = float64(eventTime.Sub(dataFrom)) / float64(dataTo.Sub(dataFrom))
	return eventTime, min(1, max(0, share)), d.poll.rate
}

// The extract's first and last moment.
var (
	dataFrom = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	dataTo   = time.Date(2001, 2, 1, 0, 0, 0, 0, time.UTC)
)
