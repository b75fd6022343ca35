package bench

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// load is what a process is put under.
type load struct {
	rate     float64 // updates a second of all tasks; 0: as many as they can
	duration time.Duration
	interval time.Duration // from one checkpoint to the next; 0: none
}

// outcome is what happened under load.
type outcome struct {
	worked
	took        time.Duration
	changes     uint64 // entries logged
	checkpoints []checkpoint
}

// perSecond is the rate that was reached.
func (o *outcome) perSecond() float64 { return float64(o.updates) / o.took.Seconds() }

// cpuPerUpdate is the time of the task's thread that an update takes, in ns.
func (o *outcome) cpuPerUpdate() float64 { return float64(o.cpu) / float64(o.updates) }

// durations of the checkpoints.
func (o *outcome) durations() []time.Duration {
	var d []time.Duration
	for _, c := range o.checkpoints {
		d = append(d, c.took)
	}
	return d
}

// run puts the process under load. With a changelog it ends with a checkpoint that is
// not among the outcome's.
func (p *process) run(ctx context.Context, l load) (*outcome, error) {
	var o outcome
	before := p.position
	at := time.Now()
	stop := make(chan struct{})
	g, inner := errgroup.WithContext(ctx)
	done := make([]worked, len(p.tasks))
	for i, t := range p.tasks {
		g.Go(func() (err error) {
			done[i], err = t.run(inner, l.rate/float64(len(p.tasks)), stop)
			return err
		})
	}
	g.Go(func() error {
		defer close(stop)
		var err error
		o.checkpoints, err = p.checkpoints(inner, l)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	o.took = time.Since(at)
	if p.uploader != nil {
		if _, err := p.checkpoint(ctx); err != nil { // counts the changes
			return nil, err
		}
	}
	o.changes = p.position - before
	for _, w := range done {
		o.updates += w.updates
		o.cpu += w.cpu
		o.wall += w.wall
	}
	return &o, nil
}

// checkpoints takes them periodically while the load lasts. One that is due while
// another is under way is left out, as in a job.
func (p *process) checkpoints(ctx context.Context, l load) ([]checkpoint, error) {
	end := time.NewTimer(l.duration)
	defer end.Stop()
	var due <-chan time.Time
	if l.interval > 0 {
		ticker := time.NewTicker(l.interval)
		defer ticker.Stop()
		due = ticker.C
	}
	var all []checkpoint
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-end.C:
			return all, nil
		case <-due:
		}
		c, err := p.interrupt(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
}
