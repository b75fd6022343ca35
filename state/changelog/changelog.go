package changelog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// ErrStopped is returned by Seal when the uploader's Run has ended.
var ErrStopped = errors.New("changelog uploader has stopped")

const (
	// DefaultPackBytes: uploading ahead starts at a mebibyte, which an object
	// store takes in about the time of an empty request, so that a barrier
	// finds at most that much waiting, and a quiet job uploads at barriers only.
	DefaultPackBytes = 1 << 20
	// DefaultPackAge bounds how much work a job without checkpoints loses from
	// the log's point of view; with checkpoints every 10 s, Flink's usual
	// interval, it adds no upload.
	DefaultPackAge = 10 * time.Second
	// DefaultUploads is how many objects are under way at once: enough to
	// fill a gigabit with objects of some mebibytes at 30 ms each.
	DefaultUploads = 4
	// DefaultWaitingBytes is how much may wait to be uploaded before stores
	// block. It rides out a second's outage at 64 MB/s.
	DefaultWaitingBytes = 64 << 20
	// objectBytes is about the largest object: a larger one would only make a
	// retry dearer.
	objectBytes = 8 << 20
	// imageUploads leaves room for the log, which a checkpoint waits for.
	imageUploads = 2
)

// Config is what an Uploader needs.
type Config struct {
	Bucket objectstore.Bucket
	// Prefix is where objects go, ending in '/'. No other process, and no
	// other attempt of this one, ever writes below it.
	Prefix string
	// PackBytes is how many bytes must wait for an upload ahead of the barrier,
	// twice as many for each upload that is under way. Default DefaultPackBytes.
	PackBytes int
	// PackAge is how long bytes wait at most, with or without a barrier.
	// Default DefaultPackAge.
	PackAge time.Duration
	// Uploads is how many objects are uploaded at once. Default DefaultUploads.
	Uploads int
	// WaitingBytes is how many bytes of changes may wait for their upload in
	// this process before stores block in EndBatch. Default DefaultWaitingBytes.
	WaitingBytes int64
	// Image decides when a log starts again from a full image.
	Image ImagePolicy
	// Log hears of uploads that are tried again. Default: nowhere.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	def(&c.PackBytes, DefaultPackBytes)
	def(&c.PackAge, DefaultPackAge)
	def(&c.Uploads, DefaultUploads)
	def(&c.WaitingBytes, DefaultWaitingBytes)
	def(&c.Image.LogBytesMin, DefaultLogBytesMin)
	def(&c.Image.LogPerLive, DefaultLogPerLive)
	def(&c.Image.SegmentsMax, DefaultSegmentsMax)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Uploader packs the changes of one process in one attempt into objects and
// uploads them. All methods may be called at once.
type Uploader struct {
	cfg Config

	// wake tells Run that there is something to look at; one pending signal
	// says as much as many.
	wake chan struct{}

	mu      sync.Mutex // protects what follows, the logs, and the packs but for their bytes
	logs    map[string]*Log
	queue   []*pack       // changes, not yet durable, by number
	images  []*pack       // parts of images, not yet durable
	changed chan struct{} // closed and replaced when a pack's fate or stopped changes
	stopped bool

	pending   int       // bytes of changes that are in no pack yet
	oldest    time.Time // when the first of them came
	waiting   int64     // bytes of changes that are not durable yet
	uploading int       // packs being uploaded
	imaging   *Log      // whose image is being uploaded; one at a time bounds memory

	lastObject uint64 // the number of the newest object
	released   []releasedObject
	written    int64 // bytes of changes since the start

	stats    Stats
	reported Stats // as of the last Seal
}

// object is one of ours; refs counts the segments in it that a log names.
type object struct {
	number uint64
	refs   int
}

// releasedObject is garbage that we have to tell of. reported is the first
// checkpoint that told; once it or a later one has completed, all know.
type releasedObject struct {
	number   uint64
	reported dataflow.CheckpointID
}

// Stats is what an uploader has done since its start, and what waits.
type Stats struct {
	Puts    int64 // uploads that succeeded
	Bytes   int64 // in them
	Failed  int64 // uploads that did not
	Waiting int64 // bytes of changes that are not durable yet: the durability lag
}

// New makes an uploader; Run makes it work.
func New(cfg Config) (*Uploader, error) {
	if !strings.HasSuffix(cfg.Prefix, "/") {
		return nil, fmt.Errorf("changelog: prefix %q does not end in '/'", cfg.Prefix)
	}
	if cfg.Bucket == nil {
		return nil, errors.New("changelog: no bucket")
	}
	return &Uploader{
		cfg:     cfg.withDefaults(),
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		logs:    map[string]*Log{},
	}, nil
}

// Stats returns what has been done so far.
func (u *Uploader) Stats() Stats {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.stats
	s.Waiting = u.waiting
	return s
}

// Run uploads until ctx ends, and returns its cause when no upload is under
// way any more. Stores that wait in EndBatch go on then; what they append is
// dropped. A failed upload is tried again, with the same bytes, for as long as
// Run runs.
func (u *Uploader) Run(ctx context.Context) error {
	var uploads sync.WaitGroup
	defer uploads.Wait()
	defer u.stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		ready, again := u.next(time.Now())
		for _, p := range ready {
			uploads.Go(func() { u.upload(ctx, p) })
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

func (u *Uploader) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
	u.notifyLocked()
}

// notifyLocked wakes those who wait for a pack or for room.
func (u *Uploader) notifyLocked() {
	close(u.changed)
	u.changed = make(chan struct{})
}

// signal wakes Run.
func (u *Uploader) signal() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// next returns the packs to upload now and when to ask again at the latest.
func (u *Uploader) next(now time.Time) (ready []*pack, again time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	again = u.cfg.PackAge
	if u.pending > 0 {
		age := now.Sub(u.oldest)
		large := u.pending >= u.cfg.PackBytes<<min(u.uploading, 3)
		if large || age >= u.cfg.PackAge || u.waiting >= u.cfg.WaitingBytes {
			u.packLocked()
		} else {
			again = u.cfg.PackAge - age
		}
	}
	ready, again = u.startLocked(u.queue, u.cfg.Uploads, now, nil, again)
	return u.startLocked(u.images, min(imageUploads, u.cfg.Uploads), now, ready, again)
}

// startLocked adds those of the packs that are due to ready, while fewer than
// max uploads are under way.
func (u *Uploader) startLocked(packs []*pack, max int, now time.Time, ready []*pack, again time.Duration) ([]*pack, time.Duration) {
	for _, p := range packs {
		switch wait := p.retryAt.Sub(now); {
		case p.uploading:
		case wait > 0:
			again = min(again, wait)
		case u.uploading < max:
			p.uploading = true
			u.uploading++
			ready = append(ready, p)
		}
	}
	return ready, again
}
