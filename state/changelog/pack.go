package changelog

import (
	"cmp"
	"slices"
	"time"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// pack is an object that is not durable yet.
//
// Its bytes are fixed once it is encoded, and number and content belong together: a
// retry of a try sends the same bytes, and another try has another number.
type pack struct {
	object *object // its number is that of the try that made it durable
	parts  []part
	raw    int       // bytes of entries in it
	oldest time.Time // when its first change came
	image  *imaging  // whose part it is, or nil: the checkpoint waits for it

	// data is the object once it is encoded, unless it waits on disk only. Who has
	// set preparing may write it.
	data  []byte
	sum   snapshot.Sum // of data
	local bool         // it is on the local disk, under the first try's name

	preparing bool  // it is being encoded, written to local disk, or read back
	slot      bool  // it counts as an upload under way
	memory    int64 // what it takes of u.memory, or of u.imageBytes
	tries     []*try
	first     *try      // of tries; whoever prepares or sends the pack may read it without a lock
	running   int       // tries under way
	sent      time.Time // when the first of these began
	durable   bool
	dropped   bool // nobody wants it any more
	failures  int
	retryAt   time.Time // not before
}

// try is a number under which a pack is uploaded.
type try struct {
	number  uint64
	running bool
}

// part is one log's segment in a pack.
type part struct {
	owner   *Log
	log     string
	content content
	defs    []definition
	blocks  []block
	raw     int
	segment *segment
}

// newPack makes an empty pack. It takes its number when it is encoded.
func newPack() *pack { return &pack{object: &object{}} }

func (p *pack) busy() bool { return p.preparing || p.running > 0 }

// addLocked adds blocks of a log to the pack as a segment.
func (p *pack) addLocked(l *Log, s snapshot.Segment, c content, defs []definition, blocks []block) *segment {
	seg := &segment{Segment: s, object: p.object, pack: p}
	p.parts = append(p.parts, part{owner: l, log: l.name, content: c, defs: defs, segment: seg})
	p.extendLocked(blocks)
	p.object.refs++
	return seg
}

// extendLocked adds blocks to the pack's last segment.
func (p *pack) extendLocked(blocks []block) {
	last := &p.parts[len(p.parts)-1]
	last.blocks = append(last.blocks, blocks...)
	for _, b := range blocks {
		last.raw += len(b.data)
		p.raw += len(b.data)
	}
}

// packLocked moves all pending changes into packs. Logs go in the order of
// their names, so that the same changes make the same objects.
func (u *Uploader) packLocked() {
	logs := make([]*Log, 0, len(u.logs))
	for _, l := range u.logs {
		if len(l.pending) > 0 {
			logs = append(logs, l)
		}
	}
	slices.SortFunc(logs, func(a, b *Log) int { return cmp.Compare(a.name, b.name) })
	var p *pack
	for _, l := range logs {
		for len(l.pending) > 0 {
			if p == nil || p.raw >= objectBytes {
				p = newPack()
				p.oldest = u.oldest
				u.queue = append(u.queue, p)
			}
			l.packLocked(p)
		}
	}
	u.pending = 0
}

// packLocked moves as many pending blocks as fit into the pack, at least one,
// as one segment.
func (l *Log) packLocked(p *pack) {
	n, size, entries := 0, p.raw, uint64(0)
	for n < len(l.pending) && (n == 0 || size < objectBytes) {
		size += len(l.pending[n].data)
		entries += uint64(l.pending[n].entries)
		n++
	}
	s := snapshot.Segment{From: l.packed, To: l.packed + entries, GroupLo: l.lo, GroupHi: l.hi}
	seg := p.addLocked(l, s, contentChanges, l.defs, l.pending[:n])
	seg.since = l.since
	l.segments = append(l.segments, seg)
	rest := copy(l.pending, l.pending[n:])
	clear(l.pending[rest:])
	l.pending = l.pending[:rest]
	l.packed = s.To
	l.total.segments++
	p.memory = int64(p.raw) // it was counted when it came
}

// beginLocked says that somebody is about to send the pack, or to write it to disk.
func (u *Uploader) beginLocked(p *pack) {
	p.preparing = true
	if len(p.tries) == 0 {
		p.first = u.addTryLocked(p)
	}
}

// addTryLocked takes the next object number for the pack.
func (u *Uploader) addTryLocked(p *pack) *try {
	u.lastObject++
	t := &try{number: u.lastObject}
	p.tries = append(p.tries, t)
	return t
}

func (u *Uploader) key(t *try) string { return objectKey(u.cfg.Prefix, t.number) }

// encode returns the pack as an object. Its sum and the segments' Refs are set,
// but for the key. Only who has set preparing may call it.
func (u *Uploader) encode(p *pack) []byte {
	e := newEncoder()
	for i := range p.parts {
		e.add(&p.parts[i], u.compression)
	}
	data := e.finish()
	p.sum = snapshot.Sum{Size: int64(len(data)), CRC32C: objectstore.CRC32C(data)}
	return data
}

// encodedLocked keeps what encode returned, and lets the entries go.
func (u *Uploader) encodedLocked(p *pack, data []byte) {
	p.data = data
	for i := range p.parts {
		if p.image == nil {
			u.free.put(p.parts[i].blocks)
		}
		p.parts[i].blocks, p.parts[i].defs = nil, nil
	}
	u.takesLocked(p, int64(len(data)))
}

// takesLocked says how much memory the pack takes now.
func (u *Uploader) takesLocked(p *pack, bytes int64) {
	if p.image == nil {
		u.memory += bytes - p.memory
	} else {
		u.imageBytes += bytes - p.memory
	}
	p.memory = bytes
}
