package coordinator

import (
	"slices"

	"github.com/cairnstream/cairn/dataflow"
)

// volume is what the sources have read, as their processes report it: a few times a
// second at best. So a trigger by volume comes up to a report late, and the bound on
// what is at risk is EveryBytes and what is read in that time.
type volume []reading // by process, in the order of their first reports; replaced, never written to

// reading is one process's sources.
type reading struct {
	process        dataflow.Incarnation
	records, bytes int64 // since the attempt began
	// What of it is before the begin of the last checkpoint. A leader that takes over
	// does not know and counts from the first report on.
	oldRecords, oldBytes int64
	backlog              bool
}

func (v volume) backlog() bool {
	return slices.ContainsFunc(v, func(r reading) bool { return r.backlog })
}

// take notes a process's report. taken tells that nothing is known of what it read
// before.
func (v volume) take(e Volume, taken bool) volume {
	v = slices.Clone(v)
	i := slices.IndexFunc(v, func(r reading) bool { return r.process == e.Process })
	if i < 0 {
		i = len(v)
		r := reading{process: e.Process}
		if taken {
			r.oldRecords, r.oldBytes = e.Records, e.Bytes
		}
		v = append(v, r)
	}
	r := &v[i]
	if e.Records < r.records || e.Bytes < r.bytes {
		return v // late
	}
	r.records, r.bytes, r.backlog = e.Records, e.Bytes, e.Backlog
	return v
}

// begun counts from here on.
func (v volume) begun() volume {
	v = slices.Clone(v)
	for i := range v {
		v[i].oldRecords, v[i].oldBytes = v[i].records, v[i].bytes
	}
	return v
}

// byVolume tells whether volume triggers at all.
func (s State) byVolume() bool {
	return s.options.Checkpoint.EveryBytes > 0 || s.options.Checkpoint.EveryRecords > 0
}

// reached tells whether enough has been read since the last checkpoint began.
func (s State) reached() bool {
	var records, bytes int64
	for _, r := range s.volume {
		records += r.records - r.oldRecords
		bytes += r.bytes - r.oldBytes
	}
	o := s.options.Checkpoint
	return o.EveryBytes > 0 && bytes >= o.EveryBytes || o.EveryRecords > 0 && records >= o.EveryRecords
}

func (t *step) read(e Volume) {
	if !t.knows(e.Process) {
		return
	}
	was := t.interval()
	t.volume = t.volume.take(e, t.ages != nil)
	t.follow(was, false)
}
