package changelog

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// work is something that Run has decided to do, on a goroutine of its own.
type work func(ctx context.Context)

// Run uploads until ctx ends, and returns its cause when no upload and no image
// is under way any more. Stores that wait in EndBatch go on then; what they append
// is dropped. A failed upload is tried again, with the same bytes, for as long as
// Run runs. Run ends by itself only if changes were lost that waited on the local
// disk.
func (u *Uploader) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer u.stop()
	defer cancel(nil)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		todo, again, err := u.next(time.Now())
		if err != nil {
			cancel(err)
			return err
		}
		for _, w := range todo {
			running.Go(func() { w(ctx) })
		}
		timer.Reset(again)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-u.wake:
		case <-timer.C:
		}
	}
}

// stop lets go of everybody who waits.
func (u *Uploader) stop() {
	u.mu.Lock()
	u.stopped = true
	left := u.starting
	u.starting = nil
	u.notifyLocked()
	u.mu.Unlock()
	for _, im := range left {
		im.image.Close()
	}
}

// plan is what next finds to do.
type plan struct {
	now   time.Time
	todo  []work
	again time.Duration // look again after this at the latest
}

func (p *plan) do(w work) { p.todo = append(p.todo, w) }

func (p *plan) at(t time.Time) { p.again = min(p.again, max(t.Sub(p.now), time.Millisecond)) }

// next returns what to do now and when to ask again at the latest.
func (u *Uploader) next(now time.Time) ([]work, time.Duration, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := &plan{now: now, again: u.cfg.PackAge}
	u.packDueLocked(p)
	u.uploadLocked(p)
	u.hedgeLocked(p)
	u.spoolLocked(p)
	u.uploadImagesLocked(p)
	for _, im := range u.starting {
		p.do(func(ctx context.Context) { u.writeImage(ctx, im) })
	}
	u.starting = nil
	if (len(u.garbage) > 0 || u.inherited != nil) && !u.tidying {
		u.tidying = true
		p.do(func(context.Context) { u.tidy() })
	}
	return p.todo, p.again, u.failure
}

// packDueLocked packs what has waited long enough, or is enough.
func (u *Uploader) packDueLocked(p *plan) {
	if u.pending == 0 {
		return
	}
	due := u.oldest.Add(u.cfg.PackAge)
	large := u.pending >= u.cfg.PackBytes<<min(len(u.queue), 3)
	if large || !p.now.Before(due) || u.memory >= u.cfg.WaitingBytes {
		u.packLocked()
	} else {
		p.at(due)
	}
}

// uploadLocked begins uploads of changes. While the store is down there is one at a
// time, to see whether it is back.
func (u *Uploader) uploadLocked(p *plan) {
	most := u.cfg.Uploads
	if u.down > 0 {
		if most = 1; p.now.Before(u.retryAt) {
			p.at(u.retryAt)
			return
		}
	}
	for _, k := range u.queue {
		if u.uploading >= most {
			return
		}
		switch {
		case k.busy():
		case p.now.Before(k.retryAt):
			p.at(k.retryAt)
		default:
			u.beginLocked(k)
			k.slot = true
			u.uploading++
			p.do(func(ctx context.Context) { u.upload(ctx, k) })
		}
	}
}

const (
	// imageUploadsMax is how many objects of images are encoded and uploaded at
	// once: at most half of the cores, for the tasks and the log.
	imageUploadsMax = 2
	// imageRest is the share of the time of its last upload that an image rests,
	// while there are changes, so that these find disk and network free.
	imageRest = 0.5
	// imagePatience is how long images make way for Seals at most.
	imagePatience = time.Second
)

// uploadImagesLocked begins uploads of images: none while the store is down or a
// Seal waits, and one at a time while there are changes.
func (u *Uploader) uploadImagesLocked(p *plan) {
	if len(u.images) == 0 {
		return
	}
	most := max(1, min(imageUploadsMax, runtime.GOMAXPROCS(0)/2))
	if u.pending > 0 || len(u.queue) > 0 {
		if u.down > 0 {
			return // the log finds out when the store is back
		}
		most = 1
		not := u.imageRested
		if u.seals > 0 {
			not = u.imageBegan.Add(imagePatience)
		}
		if p.now.Before(not) {
			p.at(not)
			return
		}
	}
	for _, k := range u.images {
		if u.imageUploads >= most {
			return
		}
		switch {
		case k.busy():
		case p.now.Before(k.retryAt):
			p.at(k.retryAt)
		default:
			u.beginLocked(k)
			k.slot = true
			u.imageUploads++
			u.imageBegan = p.now
			p.do(func(ctx context.Context) { u.upload(ctx, k) })
		}
	}
}
