package changelog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

const (
	// imageObjectBytes is about the largest object of an image, but for single
	// files. With 8 MiB, a checkpoint beside an image takes twice as long on two
	// cores and a local disk; with 4 MiB it is 1.4 times.
	imageObjectBytes = 4 << 20
	// imageMemory is how much of the images under way may be in memory: enough
	// for the uploads and for what is written meanwhile.
	imageMemory = 8 * imageObjectBytes
	// imageSegments is about the most segments that an image has, so that a
	// checkpoint's metadata does not grow with the state.
	imageSegments = 128
	// imageSegmentMin is the size up to which blocks are joined anyway.
	imageSegmentMin = 1 << 20
	// fuzzyImages is how many images may be under way at once that wait for
	// their store now and then.
	fuzzyImages = 4
	// imageBackoffMin and imageBackoffMax bound the wait after an image that
	// came to nothing. The log is as good meanwhile, only longer.
	imageBackoffMin = 5 * time.Second
	imageBackoffMax = 5 * time.Minute
)

// imaging is an image that is being written and uploaded. Its lock is the
// uploader's.
//
// An image that comes to nothing costs its upload: nothing has begun to depend on
// it. It counts from the moment at which all of it is durable.
type imaging struct {
	log   *Log
	image state.Image
	fuzzy bool
	defs  []definition // as of the image
	front *front       // to be
	total amount       // of the log, as of the image
	at    int64        // u.written, likewise

	segmentBytes int   // how far blocks are joined
	open         *pack // being filled, or nil
	packs        []*pack
	left         int // packs that are not durable
	complete     bool
	err          error // it has been given up
}

// Image implements state.Log. The image is written and uploaded beside the log, on
// goroutines of Run; handles begin with it from the first checkpoint on that is
// sealed after it is durable. If it comes to nothing, the log goes on, and
// another is wanted after a while.
func (l *Log) Image(i state.Image) {
	u := l.u
	im := &imaging{
		log: l, image: i, fuzzy: i.Fuzzy(), defs: l.defs,
		segmentBytes: max(imageSegmentMin, int(l.live/imageSegments)),
	}
	u.mu.Lock()
	if u.stopped || l.imaging != nil || l.next != nil { // it was not wanted
		u.mu.Unlock()
		i.Close()
		return
	}
	im.front = &front{at: l.position, usable: l.position}
	im.total, im.at = l.total, u.written
	l.imaging = im
	u.imaging = append(u.imaging, im)
	u.starting = append(u.starting, im)
	u.mu.Unlock()
	u.signal()
}

// writeImage lets the store write the image, in step with its upload.
func (u *Uploader) writeImage(ctx context.Context, im *imaging) {
	err := im.image.Write(ctx, func(b state.Block) error { return u.addBlock(ctx, im, b) })
	u.mu.Lock()
	switch {
	case im.err != nil: // given up already
	case err != nil && ctx.Err() != nil:
		u.dropImageLocked(im, context.Cause(ctx))
	case err != nil:
		u.giveUpLocked(im, fmt.Errorf("write: %w", err))
	default:
		u.closePackLocked(im)
		im.complete = true
		if im.fuzzy {
			im.front.usable = im.log.position
		}
		u.finishImageLocked(im)
	}
	u.mu.Unlock()
	im.image.Close()
	u.signal()
}

// addBlock adds a block to the image, once there is room.
func (u *Uploader) addBlock(ctx context.Context, im *imaging, b state.Block) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for u.imageBytes >= imageMemory && im.err == nil {
		changed := u.changed
		u.mu.Unlock()
		select {
		case <-ctx.Done():
			u.mu.Lock()
			return context.Cause(ctx)
		case <-changed:
			u.mu.Lock()
		}
	}
	if im.err != nil {
		return im.err
	}
	if b.Format == state.FileBlock {
		if again := im.log.fileLocked(b.Name); again != nil {
			u.useAgainLocked(im, *again, b)
			return nil
		}
		if b.Data == nil {
			return fmt.Errorf("file %s: %w", b.Name, errNoFile)
		}
	}
	u.packBlockLocked(im, b)
	return nil
}

// packBlockLocked puts the block into the image's open pack: behind the last one, if
// they can be one segment.
func (u *Uploader) packBlockLocked(im *imaging, b state.Block) {
	if im.open != nil && im.open.raw+len(b.Data) > imageObjectBytes {
		u.closePackLocked(im)
	}
	if im.open == nil {
		im.open = newPack()
		im.open.image = im
		im.packs = append(im.packs, im.open)
		im.left++
	}
	p := im.open
	blocks := []block{{b.Data, b.Entries}}
	if !p.joinLocked(im.segmentBytes, b, blocks) {
		s := snapshot.Segment{Base: true, From: im.front.at, To: im.front.at, GroupLo: b.GroupLo, GroupHi: b.GroupHi}
		if b.Format == state.FileBlock {
			s.Kind, s.Name = snapshot.SegmentFile, b.Name
		}
		im.front.image = append(im.front.image, p.addLocked(im.log, s, blockContent(b.Format), im.defs, blocks))
	}
	u.takesLocked(p, int64(p.raw))
}

func blockContent(f state.BlockFormat) content {
	switch f {
	case state.RecordBlock:
		return contentRecords
	case state.FileBlock:
		return contentFile
	default:
		return contentEntries
	}
}

// joinLocked adds the block to the pack's last segment, unless that is of another
// kind or has become too large.
func (p *pack) joinLocked(most int, b state.Block, blocks []block) bool {
	if len(p.parts) == 0 {
		return false
	}
	last := &p.parts[len(p.parts)-1]
	if last.content != blockContent(b.Format) || last.content == contentFile || last.raw+len(b.Data) > most {
		return false
	}
	s := last.segment
	s.GroupLo, s.GroupHi = min(s.GroupLo, b.GroupLo), max(s.GroupHi, b.GroupHi)
	p.extendLocked(blocks)
	return true
}

// closePackLocked hands the open pack to the upload.
func (u *Uploader) closePackLocked(im *imaging) {
	if im.open != nil {
		u.images = append(u.images, im.open)
		im.open = nil
		u.signal()
	}
}

// finishImageLocked makes the image the log's next front, if all of it is durable.
func (u *Uploader) finishImageLocked(im *imaging) {
	if !im.complete || im.left > 0 || im.err != nil {
		return
	}
	u.endImageLocked(im)
	l := im.log
	l.next, l.base, l.writtenAt = im.front, im.total, im.at
	l.imageFailures = 0
	u.stats.Images++
}

// giveUpLocked drops the image and has another wanted after a while.
func (u *Uploader) giveUpLocked(im *imaging, err error) {
	l := im.log
	wait := min(imageBackoffMin<<min(l.imageFailures, 10), imageBackoffMax)
	l.imageFailures++
	l.imageAfter = time.Now().Add(wait)
	u.cfg.Log.Warn("image given up; the log goes on", "log", l.name, "again_in", wait, "error", err)
	u.dropImageLocked(im, err)
}

// dropImageLocked lets go of everything that the image has so far.
func (u *Uploader) dropImageLocked(im *imaging, err error) {
	im.err = err
	u.endImageLocked(im)
	for _, p := range im.packs {
		if p.durable {
			continue // its segments are dropped below
		}
		p.dropped = true
		u.takesLocked(p, 0)
		for _, t := range p.tries {
			if !t.running && p.sum.Size > 0 && !p.preparing {
				u.discardLocked(t)
			}
		}
	}
	u.images = slices.DeleteFunc(u.images, func(p *pack) bool { return p.image == im })
	for _, s := range im.front.image {
		if s.durable {
			u.dropLocked(s)
		}
	}
	u.notifyLocked()
}

func (u *Uploader) endImageLocked(im *imaging) {
	im.log.imaging = nil
	u.imaging = slices.DeleteFunc(u.imaging, func(x *imaging) bool { return x == im })
}
