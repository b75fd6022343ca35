package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

// checkpoint is a measured one.
type checkpoint struct {
	took time.Duration // from the trigger until all was durable
	seal *changelog.Seal
}

// checkpoint takes one of tasks that do not run.
func (p *process) checkpoint(ctx context.Context) (checkpoint, error) {
	at := time.Now()
	cuts := map[*changelog.Log]state.Cut{}
	p.newest++
	for _, t := range p.tasks {
		cuts[t.log] = t.store.Cut(p.newest)
	}
	return p.finish(ctx, at, cuts)
}

// interrupt takes a checkpoint of tasks that run.
func (p *process) interrupt(ctx context.Context) (checkpoint, error) {
	at := time.Now()
	cuts := map[*changelog.Log]state.Cut{}
	p.newest++
	replies := make(chan cutReply, len(p.tasks))
	for _, t := range p.tasks {
		t.cuts <- cutRequest{p.newest, replies}
	}
	for range p.tasks {
		select {
		case c := <-replies:
			cuts[c.task.log] = c.cut
		case <-ctx.Done():
			return checkpoint{}, context.Cause(ctx)
		}
	}
	return p.finish(ctx, at, cuts)
}

// finish makes the cuts durable, and complete.
func (p *process) finish(ctx context.Context, at time.Time, cuts map[*changelog.Log]state.Cut) (checkpoint, error) {
	seal, err := p.uploader.Seal(ctx, p.newest, cuts)
	if err != nil {
		return checkpoint{}, err
	}
	c := checkpoint{time.Since(at), seal}
	p.uploader.Completed(p.newest)
	p.position = 0
	for _, cut := range cuts {
		p.position += cut.Position
	}
	return c, nil
}

// handles are the state's handles in a checkpoint, in the tasks' order.
func (p *process) handles(c checkpoint) []snapshot.Keyed {
	var out []snapshot.Keyed
	for _, t := range p.tasks {
		out = append(out, c.seal.Keyed[t.log])
	}
	return out
}

const (
	// quiet is how long no upload must have ended for a process to be at rest, and
	// quietQuick the same for one that has next to nothing to upload.
	quiet      = 300 * time.Millisecond
	quietQuick = 20 * time.Millisecond
	// restless is when waiting for it is given up.
	restless = 2 * time.Minute
)

// settle waits until images that were begun are uploaded.
func (p *process) settle(ctx context.Context) error {
	if p.uploader == nil {
		return nil
	}
	ticker := time.NewTicker(p.quiet)
	defer ticker.Stop()
	last := int64(-1)
	for deadline := time.Now().Add(restless); ; {
		n := p.bucket.Counts().PutBytes
		if n == last {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("uploads go on after %v", restless)
		}
		last = n
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// images is how many bytes of images were uploaded, and how many images are whole.
func (p *process) images() (bytes, images int64) {
	s := p.uploader.Stats()
	return s.ImageBytes, s.Images
}

func (p *process) imageBytes() int64 {
	bytes, _ := p.images()
	return bytes
}
