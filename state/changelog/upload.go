package changelog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairnstream/cairn/objectstore"
)

// upload prepares a pack and sends it once.
func (u *Uploader) upload(ctx context.Context, p *pack) {
	err := u.prepare(p)
	u.mu.Lock()
	p.preparing = false
	t, data := p.first, p.data
	if err != nil || p.dropped {
		u.notSentLocked(p, err)
		u.mu.Unlock()
		return
	}
	t.running = true
	p.running, p.sent = 1, time.Now()
	u.mu.Unlock()
	u.signal() // Run sets its clock for a hedge
	u.send(ctx, p, t, data)
}

// prepare makes sure that the pack's bytes are in memory.
func (u *Uploader) prepare(p *pack) error {
	if p.data != nil {
		return nil
	}
	if p.sum.Size > 0 {
		return u.unspool(p)
	}
	data := u.encode(p)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.encodedLocked(p, data)
	u.notifyLocked()
	return nil
}

// notSentLocked is the end of an upload before it began: the pack is dropped, or
// its bytes are lost, which ends Run.
func (u *Uploader) notSentLocked(p *pack, err error) {
	u.slotLocked(p)
	if p.dropped {
		u.takesLocked(p, 0)
		for _, t := range p.tries {
			u.discardLocked(t)
		}
	}
	if u.failure == nil {
		u.failure = err
	}
	u.signal()
}

// slotLocked gives back what the upload's start took.
func (u *Uploader) slotLocked(p *pack) {
	switch {
	case !p.slot:
		return
	case p.image != nil:
		u.imageUploads--
		now := time.Now()
		u.imageRested = now.Add(time.Duration(imageRest * float64(now.Sub(u.imageBegan))))
	default:
		u.uploading--
	}
	p.slot = false
}

// send uploads the pack under one of its numbers, and beside it writes the local
// copy if there is none.
func (u *Uploader) send(ctx context.Context, p *pack, t *try, data []byte) {
	var copying sync.WaitGroup
	first := t == p.first
	if first && u.wantsCopy(p) {
		copying.Go(func() { u.copyTo(p, data) })
	}
	began := time.Now()
	err := u.cfg.Bucket.Put(ctx, u.key(t), data, objectstore.PutOptions{IfAbsent: true})
	took := time.Since(began)
	copying.Wait()
	if err == nil {
		u.settleCopy(p, t)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		u.hedges.observe(len(data), took)
	}
	u.endedLocked(ctx, p, t, err)
	u.notifyLocked()
	u.signal()
}

// endedLocked records what became of a try.
func (u *Uploader) endedLocked(ctx context.Context, p *pack, t *try, err error) {
	late := p.durable || p.dropped
	t.running = false
	if p.running--; p.running == 0 {
		u.slotLocked(p)
	}
	if err == nil {
		if p.image == nil {
			u.upLocked()
		}
		u.stats.Puts++
		u.stats.Bytes += p.sum.Size
		if p.image != nil {
			u.stats.ImageBytes += p.sum.Size
		}
	} else if ctx.Err() == nil {
		u.failedLocked(p, t, err)
	}
	switch {
	case late:
		u.discardLocked(t)
	case err == nil:
		u.durableLocked(p, t)
	}
}

const (
	// retryMin and retryMax bound the wait before an upload is tried again. The
	// bucket has retried already; a Seal does not wait for the time.
	retryMin = 100 * time.Millisecond
	retryMax = 5 * time.Second
	// imageTries is how often an object of an image is tried before the image is
	// given up: what it replaces is still there.
	imageTries = 4
)

// backoff is how long to wait after so many failures in a row, with a quarter of
// jitter either way, so that processes do not come back all at once.
func backoff(failures int) time.Duration {
	d := min(retryMin<<min(failures-1, 10), retryMax)
	return d - d/4 + rand.N(d/2)
}

// failedLocked counts a failure. The budget for retries is one try at a time for
// the whole process, after a wait, until one succeeds.
func (u *Uploader) failedLocked(p *pack, t *try, err error) {
	u.stats.Failed++
	p.failures++
	u.cfg.Log.Warn("upload failed", "object", u.key(t), "failures", p.failures, "error", err)
	err = fmt.Errorf("upload %s: %w: %w", u.key(t), ErrStoreUnavailable, err)
	if p.running > 0 || p.durable || p.dropped {
		return // another try has done it or may do it
	}
	p.retryAt = time.Now().Add(backoff(p.failures))
	switch {
	case p.image == nil:
		u.down++
		u.lastErr = err
		u.retryAt = time.Now().Add(backoff(u.down))
	case p.failures >= imageTries:
		u.giveUpLocked(p.image, err)
	}
}

// upLocked says that the store takes uploads: those that wait need not.
func (u *Uploader) upLocked() {
	if u.down == 0 {
		return
	}
	u.down = 0
	for _, p := range u.queue {
		p.retryAt = time.Time{}
	}
}

// durableLocked says that t's object holds the pack.
func (u *Uploader) durableLocked(p *pack, t *try) {
	p.durable = true
	u.slotLocked(p)
	p.object.number = t.number
	for _, other := range p.tries {
		if other != t && !other.running {
			u.discardLocked(other)
		}
	}
	key := u.key(t)
	for i := range p.parts {
		part := &p.parts[i]
		part.segment.Ref.Key = key
		part.segment.durable = true
		if p.image == nil {
			u.waiting -= int64(part.raw)
			part.owner.waiting -= int64(part.raw)
		}
	}
	p.parts, p.data = nil, nil
	u.sums[key] = p.sum
	u.takesLocked(p, 0)
	if p.image == nil {
		u.queue = slices.DeleteFunc(u.queue, func(q *pack) bool { return q == p })
		return
	}
	u.images = slices.DeleteFunc(u.images, func(q *pack) bool { return q == p })
	p.image.left--
	u.finishImageLocked(p.image)
}

// discardLocked gives up a number under which a pack was or may have been sent, and
// that no handle has named. Nothing is being sent under it any more.
func (u *Uploader) discardLocked(t *try) {
	u.released = append(u.released, releasedObject{number: t.number})
	u.garbage = append(u.garbage, u.key(t))
}
