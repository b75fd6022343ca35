package changelog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cairnstream/cairn/objectstore"
)

// errLost is returned by Run when a file of changes is not what was written.
var errLost = errors.New("changes that waited on the local disk are lost")

// spoolersMax is how many packs are written to the disk at once: one keeps a disk
// busy, and encodes what another has read meanwhile.
const spoolersMax = 1

// spoolLocked moves packs to the local disk while they take more than half of the
// memory that they may: the youngest first, since the oldest is uploaded next.
func (u *Uploader) spoolLocked(p *plan) {
	if u.memory < u.cfg.WaitingBytes/2 || !u.local.usable() {
		return
	}
	for i := len(u.queue) - 1; i >= 0 && u.preparing < spoolersMax; i-- {
		k := u.queue[i]
		if k.busy() || k.memory == 0 {
			continue
		}
		if u.spooled+k.memory > u.cfg.SpoolBytes {
			return
		}
		u.beginLocked(k)
		u.preparing++
		p.do(func(context.Context) { u.spool(k) })
	}
}

// spool writes a pack to the local disk and lets go of its memory.
func (u *Uploader) spool(p *pack) {
	err := u.prepare(p)
	if err == nil && !p.local {
		err = u.writeCopy(p, p.data)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	p.preparing = false
	u.preparing--
	if err == nil {
		p.data = nil
		u.spooled += p.sum.Size
		u.takesLocked(p, 0)
		u.notifyLocked()
	}
	u.signal()
}

// unspool reads a pack's bytes back for their upload. They exist nowhere else, so
// that an error is the end.
func (u *Uploader) unspool(p *pack) error {
	key := u.key(p.first)
	data, ok := u.local.Read(objectstore.Ref{Key: key, Length: p.sum.Size, CRC32C: p.sum.CRC32C}, nil)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.spooled -= p.sum.Size
	if !ok {
		return fmt.Errorf("changelog: object %s, in %s: %w", key, u.local.dir, errLost)
	}
	p.data = data
	u.takesLocked(p, p.sum.Size)
	return nil
}

// wantsCopy tells whether a pack is to be kept on the local disk beside its
// upload. Files are not: their store has them.
func (u *Uploader) wantsCopy(p *pack) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	files := len(p.parts) > 0 && p.parts[0].content == contentFile
	return !p.local && !u.cfg.SpoolOnly && !files && u.local.usable()
}

// copyTo writes a copy beside an upload: nothing is lost without it.
func (u *Uploader) copyTo(p *pack, data []byte) { _ = u.writeCopy(p, data) }

// writeCopy writes the copy under the first try's name. The first error of all is
// logged; there are no copies and no spool from then on.
func (u *Uploader) writeCopy(p *pack, data []byte) error {
	broken := !u.local.usable()
	err := u.local.Put(u.key(p.first), data)
	if err != nil && !broken {
		u.cfg.Log.Warn("local disk is not used any more; changes wait in memory only", "error", err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	p.local = err == nil
	return err
}

// settleCopy gives the local copy the name of the object that holds the pack, or
// removes it.
func (u *Uploader) settleCopy(p *pack, t *try) {
	u.mu.Lock()
	first := p.first
	settle := p.local && !p.durable && !p.dropped
	if settle {
		p.local = false // ours alone
	}
	u.mu.Unlock()
	switch {
	case !settle:
	case u.cfg.SpoolOnly:
		u.local.Delete(u.key(first))
	case t != first:
		u.local.rename(u.key(first), u.key(t))
	}
}

// tidy removes local copies that nobody needs.
func (u *Uploader) tidy() {
	u.mu.Lock()
	keys, inherited := u.garbage, u.inherited
	u.garbage, u.inherited = nil, nil
	u.mu.Unlock()
	for _, key := range keys {
		u.local.Delete(key)
	}
	if inherited != nil {
		u.local.Keep(func(key string) bool { return inherited[key] || strings.HasPrefix(key, u.cfg.Prefix) })
	}
	u.mu.Lock()
	u.tidying = false
	u.mu.Unlock()
	u.signal()
}

// tidyEarlierLocked has the copies removed of what earlier attempts wrote and no
// log has inherited. All logs have, when the first checkpoint is sealed.
func (u *Uploader) tidyEarlierLocked() {
	if u.tidied {
		return
	}
	u.tidied = true
	u.inherited = map[string]bool{}
	for _, l := range u.logs {
		for _, s := range l.front.inherited {
			u.inherited[s.Ref.Key] = true
		}
	}
	u.signal()
}
