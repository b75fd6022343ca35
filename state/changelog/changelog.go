package changelog

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

var (
	// ErrStopped is returned by Seal when the uploader's Run has ended.
	ErrStopped = errors.New("changelog uploader has stopped")
	// ErrStoreUnavailable is returned by Seal when the object store does not take
	// what the checkpoint needs. Processing goes on, uploads are tried again, and a
	// later Seal covers everything.
	ErrStoreUnavailable = errors.New("object store does not take it")
)

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
	// DefaultWaitingBytes is how much may wait in memory to be uploaded before
	// stores block. It rides out a second's outage at 64 MB/s without a disk.
	DefaultWaitingBytes = 64 << 20
	// DefaultSpoolBytes rides out a minute's outage at 64 MB/s.
	DefaultSpoolBytes = 4 << 30
	// objectBytes is about the largest object: a larger one would only make a
	// retry dearer, and its upload stand in the way of others.
	objectBytes = 8 << 20
)

// Config is what an Uploader needs.
type Config struct {
	Bucket objectstore.Bucket
	// Prefix is where objects go, ending in '/'. No other process, and no
	// other attempt of this one, ever writes below it.
	Prefix string
	// PackBytes is how many bytes must wait for an upload ahead of the barrier,
	// twice as many for each object that waits already, up to eight times. Default
	// DefaultPackBytes.
	PackBytes int
	// PackAge is how long bytes wait at most, with or without a barrier.
	// Default DefaultPackAge.
	PackAge time.Duration
	// Uploads is how many objects are uploaded at once. Default DefaultUploads.
	Uploads int
	// WaitingBytes is how many bytes of changes may wait in memory for their
	// upload in this process. Beyond them changes wait on local disk, and beyond
	// that stores block in EndBatch. Default DefaultWaitingBytes.
	WaitingBytes int64
	// LocalDir is this process's folder on the local disk; LocalFolder in it is the
	// uploader's Local. Empty: changes wait in memory only and
	// nothing is kept.
	LocalDir string
	// SpoolOnly says that the local disk is for changes that wait: copies of what
	// has been uploaded are not kept for a later restore on this machine.
	SpoolOnly bool
	// SpoolBytes is how many bytes of changes may wait on local disk only.
	// Default DefaultSpoolBytes.
	SpoolBytes int64
	// Compression is CompressS2 (the default), CompressZstd or CompressNone.
	Compression string
	// RecoveryTarget is how long replaying the process's logs may take; when it is
	// predicted to take longer, images are written. Default DefaultRecoveryTarget.
	RecoveryTarget time.Duration
	// LogBytes bounds the process's logs between images, whatever RecoveryTarget
	// allows. Default: what Image says.
	LogBytes int64
	// Image decides the rest about images.
	Image ImagePolicy
	// Log hears of uploads that are tried again. Default: nowhere.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	def(&c.PackBytes, DefaultPackBytes)
	def(&c.PackAge, DefaultPackAge)
	def(&c.Uploads, DefaultUploads)
	def(&c.WaitingBytes, DefaultWaitingBytes)
	def(&c.SpoolBytes, DefaultSpoolBytes)
	def(&c.Compression, CompressS2)
	def(&c.RecoveryTarget, DefaultRecoveryTarget)
	c.Image = c.Image.withDefaults()
	def(&c.Log, slog.New(slog.DiscardHandler))
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
	cfg         Config
	compression compression
	local       *Local

	// wake tells Run that there is something to look at; one pending signal
	// says as much as many.
	wake chan struct{}

	mu      sync.Mutex // protects what follows, the logs, and the packs but for their bytes
	logs    map[string]*Log
	queue   []*pack       // changes, not yet durable, oldest first
	images  []*pack       // parts of images, not yet durable
	changed chan struct{} // closed and replaced when a pack's fate, the room or stopped changes
	stopped bool
	failure error // that Run shall end with

	pending   int       // bytes of changes that are in no pack yet
	oldest    time.Time // when the first of them came
	waiting   int64     // bytes of changes that are not durable yet
	memory    int64     // what these take in memory
	spooled   int64     // what these take on local disk only
	free      freelist  // blocks to fill again
	preparing int       // packs being encoded and written to local disk only
	uploading int       // packs of changes being uploaded
	seals     int       // Seals that wait

	down    int       // uploads of changes that have failed since one succeeded
	lastErr error     // of the last of them
	retryAt time.Time // when the next may be tried, while down

	hedges hedges

	starting     []*imaging // images that Run has to start
	imaging      []*imaging // images under way, with those
	imageBytes   int64      // their bytes in memory
	imageUploads int        // their packs being uploaded
	imageBegan   time.Time  // when the last of these began
	imageRested  time.Time  // no other before, while there are changes

	lastObject uint64 // the number of the newest object
	released   []releasedObject
	written    int64                   // bytes of changes since the start
	sums       map[string]snapshot.Sum // of the objects that logs name, by key

	flight    *Log       // whose segments are what was in flight; in no handle
	inFlights []inFlight // of checkpoints that may still name them

	garbage   []string        // objects whose local copies nobody needs
	inherited map[string]bool // of earlier attempts' objects those that logs name, once
	tidied    bool            // inherited was set
	tidying   bool            // copies are being removed

	stats    Stats
	reported Stats // as of the last Seal
}

// releasedObject is garbage that we have to tell of. reported is the first
// checkpoint that told; once it or a later one has completed, all know.
type releasedObject struct {
	number   uint64
	reported dataflow.CheckpointID
}

// Stats is what an uploader has done since its start, and what waits.
type Stats struct {
	Puts       int64         // uploads that succeeded
	Bytes      int64         // in them
	Failed     int64         // uploads that did not
	Hedged     int64         // uploads that were sent a second time because they were slow
	Waiting    int64         // bytes of changes that are not durable yet: the durability lag
	Oldest     time.Duration // the age of the oldest of these changes
	Spooled    int64         // bytes of objects that wait on local disk only
	Objects    int           // how many objects the newest handles name
	Images     int64         // images that became durable
	ImageBytes int64         // bytes that were uploaded for images, whether they were used or not
}

// New makes an uploader; Run makes it work.
func New(cfg Config) (*Uploader, error) {
	if !strings.HasSuffix(cfg.Prefix, "/") {
		return nil, fmt.Errorf("changelog: prefix %q does not end in '/'", cfg.Prefix)
	}
	if cfg.Bucket == nil {
		return nil, errors.New("changelog: no bucket")
	}
	cfg = cfg.withDefaults()
	local := ""
	if cfg.LocalDir != "" {
		local = filepath.Join(cfg.LocalDir, LocalFolder)
	}
	c, err := parseCompression(cfg.Compression)
	if err != nil {
		return nil, err
	}
	u := &Uploader{
		cfg:         cfg,
		compression: c,
		local:       OpenLocal(local),
		wake:        make(chan struct{}, 1),
		changed:     make(chan struct{}),
		logs:        map[string]*Log{},
		sums:        map[string]snapshot.Sum{},
	}
	return u, nil
}

// Stats returns what has been done so far.
func (u *Uploader) Stats() Stats {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.stats
	s.Waiting, s.Spooled = u.waiting, u.spooled
	var oldest time.Time
	if u.pending > 0 {
		oldest = u.oldest
	}
	if len(u.queue) > 0 { // its packs are older than what is pending
		oldest = u.queue[0].oldest
	}
	if !oldest.IsZero() {
		s.Oldest = time.Since(oldest)
	}
	return s
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
