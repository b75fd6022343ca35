package changelog

import (
	"context"
	"math/bits"
	"slices"
	"time"
)

const (
	// hedgeSamples is how many uploads of about a size must have been seen
	// before a slow one can be told.
	hedgeSamples = 20
	// hedgeWindow is how many of the last uploads count.
	hedgeWindow = 64
	// hedgeFactor: an upload is slow when it takes twice what 95 of 100 took.
	hedgeFactor = 2
	// hedgeMin: a second upload does not pay for what a scheduler's mood costs.
	hedgeMin = 20 * time.Millisecond
	// hedgeShare of the uploads may be sent twice, hedgeBurst at once.
	hedgeShare = 0.05
	hedgeBurst = 2
)

// hedges knows how long uploads take, and which are worth sending again.
type hedges struct {
	classes [hedgeClasses]durations // by size
	budget  float64                 // hedges that may be sent
}

// hedgeClasses: up to 256 KiB, 1 MiB, 4 MiB, 16 MiB, and more.
const hedgeClasses = 5

// class returns the class of uploads of a size.
func (h *hedges) class(size int) *durations {
	return &h.classes[min((bits.Len(uint(size)>>18)+1)/2, hedgeClasses-1)]
}

// observe counts an upload that succeeded.
func (h *hedges) observe(size int, took time.Duration) {
	h.class(size).add(took)
	h.budget = min(h.budget+hedgeShare, hedgeBurst)
}

// after tells how long an upload of a size may take before it is sent again;
// false if that is not known or the budget is spent.
func (h *hedges) after(size int) (time.Duration, bool) {
	c := h.class(size)
	if h.budget < 1 || len(c.last) < hedgeSamples {
		return 0, false
	}
	return max(hedgeFactor*c.high(), hedgeMin), true
}

// durations are the last ones of a kind.
type durations struct {
	last []time.Duration
	next int // the place of the oldest, once the window is full
}

func (d *durations) add(t time.Duration) {
	if len(d.last) < hedgeWindow {
		d.last = append(d.last, t)
		return
	}
	d.last[d.next] = t
	d.next = (d.next + 1) % hedgeWindow
}

// high is the 95th percentile.
func (d *durations) high() time.Duration {
	sorted := slices.Sorted(slices.Values(d.last))
	return sorted[len(sorted)*95/100]
}

// hedgeLocked sends those uploads of changes again, under another number, that
// are slow. The first to succeed is named by handles; the other's number is
// released when its PUT has returned.
func (u *Uploader) hedgeLocked(p *plan) {
	if u.down > 0 {
		return
	}
	for _, k := range u.queue {
		if k.running != 1 || len(k.tries) > 1 {
			continue
		}
		after, ok := u.hedges.after(len(k.data))
		if !ok {
			continue
		}
		if due := k.sent.Add(after); p.now.Before(due) {
			p.at(due)
			continue
		}
		u.hedges.budget--
		u.stats.Hedged++
		t, data := u.addTryLocked(k), k.data
		t.running = true
		k.running++
		p.do(func(ctx context.Context) { u.send(ctx, k, t, data) })
	}
}
