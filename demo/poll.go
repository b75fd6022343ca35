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

// poller keeps the latest answer to "how is the job": where its subtasks run
// and how many records it has read.
type poller struct {
	mu     sync.Mutex
	job    *wire.GetJobResponse
	read   int64 // records that sources have emitted in this attempt
	before int64 // in attempts before this one
	rate   int64 // per second
	at     time.Time
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
		p.take(r, time.Now())
	}
}

func (p *poller) take(r *wire.GetJobResponse, now time.Time) {
	var read int64
	for _, s := range r.Subtasks {
		if s.Subtask.GetVertex() == 0 && s.Stats != nil { // the source is declared first
			read += s.Stats.RecordsOut
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.job != nil && read > p.read && p.job.Summary.Attempt == r.Summary.Attempt {
		p.rate = int64(float64(read-p.read) / now.Sub(p.at).Seconds())
		p.at = now
	} else if p.at.IsZero() || read < p.read {
		p.at = now
	}
	p.job, p.read = r, read
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

// progress is how many records the sources have read, how many there are, and
// how many a second.
func (d *demo) progress() (done, total, rate int64) {
	d.poll.mu.Lock()
	defer d.poll.mu.Unlock()
	return d.poll.read, d.rows, d.poll.rate
}
