package changelog

import (
	"math"
	"runtime"
	"time"
)

// ImagePolicy decides when a log starts again from a full image of its store.
// An image makes restores shorter and lets old objects go; it costs an upload of
// what is live.
type ImagePolicy struct {
	// LogBytesMin is how many bytes of changes the process's logs have at least
	// before one starts again. Default DefaultLogBytesMin.
	LogBytesMin int64
	// LogPerLive is how many times the live state the changes may grow to.
	// Default DefaultLogPerLive.
	LogPerLive int64
	// SegmentsMax is how many segments of changes a handle may name, and one more
	// for each mebibyte of live state. Default DefaultSegmentsMax.
	SegmentsMax int
	// ObjectsMax is how many objects the process's handles may name, and one
	// more for each mebibyte of live state. Default DefaultObjectsMax.
	ObjectsMax int
	// ReplayEntries and ReplayBytes are how many entries, and how many bytes of
	// them, a core replays in a second. Defaults DefaultReplayEntries and
	// DefaultReplayBytes.
	ReplayEntries, ReplayBytes int64
}

const (
	// DefaultRecoveryTarget is Flink's order of magnitude for what a restart
	// may take.
	DefaultRecoveryTarget = 10 * time.Second
	// DefaultLogBytesMin replays in a few hundred milliseconds.
	DefaultLogBytesMin = 64 << 20
	// DefaultLogPerLive writes at most half as much in images as in changes.
	DefaultLogPerLive = 2
	// DefaultSegmentsMax keeps a small handle below about 50 KiB of metadata. A
	// quiet job with a checkpoint each second reaches it every four minutes.
	DefaultSegmentsMax = 256
	// DefaultObjectsMax is what a restore lists and reads without noticing.
	DefaultObjectsMax = 512
	// DefaultReplayEntries and DefaultReplayBytes were measured.
	DefaultReplayEntries = 2_000_000
	DefaultReplayBytes   = 200 << 20
	// sharedLogFactor: a log also starts again when the process as a whole has
	// written so many times what the policy allows to all of its logs. Objects hold
	// segments of many logs, so one that never changes would otherwise keep
	// all objects alive for ever.
	sharedLogFactor = 4
)

func (p ImagePolicy) withDefaults() ImagePolicy {
	def(&p.LogBytesMin, DefaultLogBytesMin)
	def(&p.LogPerLive, DefaultLogPerLive)
	def(&p.SegmentsMax, DefaultSegmentsMax)
	def(&p.ObjectsMax, DefaultObjectsMax)
	def(&p.ReplayEntries, DefaultReplayEntries)
	def(&p.ReplayBytes, DefaultReplayBytes)
	return p
}

// amount is how much there is of a log.
type amount struct {
	entries, bytes int64
	segments       int
}

func (a *amount) add(b amount) {
	a.entries += b.entries
	a.bytes += b.bytes
	a.segments += b.segments
}

// sinceBase is what a restore has to replay of the log.
func (l *Log) sinceBase() amount {
	return amount{l.total.entries - l.base.entries, l.total.bytes - l.base.bytes, l.total.segments - l.base.segments}
}

// replay predicts how long one core takes for so much.
func (p ImagePolicy) replay(a amount) time.Duration {
	seconds := float64(a.entries)/float64(p.ReplayEntries) + float64(a.bytes)/float64(p.ReplayBytes)
	return time.Duration(seconds * float64(time.Second))
}

// WantsImage implements state.Log.
func (l *Log) WantsImage(liveBytes int64) bool {
	u := l.u
	u.mu.Lock()
	defer u.mu.Unlock()
	l.live = liveBytes
	if u.stopped || l.imaging != nil || l.next != nil || !u.imageRoomLocked() || time.Now().Before(l.imageAfter) {
		return false
	}
	since := l.sinceBase()
	return u.worthReplayLocked(since) || u.worthBytesLocked(l, since) ||
		since.segments > u.cfg.Image.SegmentsMax+int(liveBytes>>20) || u.pinsOldLocked(l) || u.holdsOthersLocked(l)
}

// imageRoomLocked reports whether another image may begin: one at a time bounds
// memory, but those that wait for their store do not stand in others' way.
func (u *Uploader) imageRoomLocked() bool {
	for _, im := range u.imaging {
		if !im.fuzzy {
			return false
		}
	}
	return len(u.imaging) < fuzzyImages
}

// worthReplayLocked reports whether replaying all logs takes too long, and this
// one's part in it is not small. An image takes a while, so that it is begun before
// the target is reached.
func (u *Uploader) worthReplayLocked(since amount) bool {
	var all amount
	for _, l := range u.logs {
		all.add(l.sinceBase())
	}
	logs := len(u.logs)
	cores := min(runtime.GOMAXPROCS(0), logs)
	total := u.cfg.Image.replay(all)
	return total/time.Duration(cores) > u.cfg.RecoveryTarget*3/4 &&
		u.cfg.Image.replay(since) >= total/time.Duration(2*logs)
}

// worthBytesLocked reports whether all logs together are too long, and this one
// is long against its state. When the first is so, the second is for some log.
func (u *Uploader) worthBytesLocked(l *Log, since amount) bool {
	var all int64
	for _, l := range u.logs {
		all += l.sinceBase().bytes
	}
	logs, limit := int64(len(u.logs)), u.logLimitLocked()
	worth := max(l.live, limit/(4*logs))
	if u.cfg.LogBytes > 0 { // whatever it costs
		worth = limit / (2 * logs)
	}
	return all > limit && since.bytes >= worth
}

// logLimitLocked is how many bytes of changes all logs may have.
func (u *Uploader) logLimitLocked() int64 {
	if u.cfg.LogBytes > 0 {
		return u.cfg.LogBytes
	}
	return max(u.cfg.Image.LogBytesMin, u.cfg.Image.LogPerLive*u.liveLocked())
}

func (u *Uploader) liveLocked() (n int64) {
	for _, l := range u.logs {
		n += l.live
	}
	return n
}

// pinsOldLocked reports whether handles name too many objects, and the oldest that
// this log names is among the older half.
func (u *Uploader) pinsOldLocked(l *Log) bool {
	if int64(u.stats.Objects) <= int64(u.cfg.Image.ObjectsMax)+u.liveLocked()>>20 {
		return false
	}
	first := uint64(math.MaxUint64)
	for _, other := range u.logs {
		first = min(first, other.oldestObject())
	}
	own := l.oldestObject()
	return own < math.MaxUint64 && own <= first+(u.lastObject-min(first, u.lastObject))/2
}

// oldestObject is the number of the oldest object that the log names: 0 for those
// of earlier attempts, and the largest number if there is none.
func (l *Log) oldestObject() uint64 {
	if len(l.front.inherited) > 0 {
		return 0
	}
	first := uint64(math.MaxUint64)
	for _, list := range [][]*segment{l.front.image, l.segments} {
		for _, s := range list {
			if s.durable && s.object != nil {
				first = min(first, s.object.number)
			}
		}
	}
	return first
}

// holdsOthersLocked reports whether the log's old segments keep too many
// objects alive that are full of others' changes.
func (u *Uploader) holdsOthersLocked(l *Log) bool {
	return len(l.segments)+len(l.front.image) > 0 && u.written-l.writtenAt > sharedLogFactor*u.logLimitLocked()
}
