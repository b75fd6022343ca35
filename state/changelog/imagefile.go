package changelog

import (
	"errors"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// errNoFile is returned when an image names a file that was not uploaded.
var errNoFile = errors.New("the log has no such file")

// fileLocked returns the segment of a file that the log's handles name, or nil.
func (l *Log) fileLocked(name string) *segment {
	for i := range l.front.inherited {
		if s := &l.front.inherited[i]; s.Kind == snapshot.SegmentFile && s.Name == name {
			return &segment{Segment: *s, durable: true}
		}
	}
	for _, s := range l.front.image {
		if s.Kind == snapshot.SegmentFile && s.Name == name {
			return s
		}
	}
	return nil
}

// HasFile reports whether a FileBlock of that name needs no data, in an image that
// is being written.
func (l *Log) HasFile(name string) bool {
	l.u.mu.Lock()
	defer l.u.mu.Unlock()
	return l.fileLocked(name) != nil
}

// useAgainLocked makes a file of the image before part of this one.
func (u *Uploader) useAgainLocked(im *imaging, s segment, b state.Block) {
	s.From, s.To, s.GroupLo, s.GroupHi = im.front.at, im.front.at, b.GroupLo, b.GroupHi
	if s.object != nil {
		s.object.refs++
	}
	im.front.image = append(im.front.image, &s)
}
