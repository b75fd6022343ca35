package engine

import (
	"encoding/binary"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// watermarkList is the operator list state in which an operator with keyed
// state keeps the watermark: it decides what is late, so it must not fall
// behind what timers have already fired. Its items, numbers being big-endian:
//
//	watermark (8)                             how far the subtask was
//	first group (4), last (4), watermark (8)  key groups that were behind that, if any
const watermarkList = "watermark"

// watermarks is what a cut keeps. After a restore with another parallelism, some key groups are behind the
// subtask's watermark until the first one comes: a cut before that must not lose it.
func (n *body) watermarks() [][]byte {
	items := [][]byte{binary.BigEndian.AppendUint64(nil, uint64(n.wm))}
	if n.moved || n.op.restored == nil {
		return items
	}
	lo, hi := dataflow.GroupRange(n.op.KeyGroups, n.op.Parallelism, n.op.Subtask)
	for group := lo; group <= hi; {
		wm, first := n.op.RestoredWatermarkOf(group), group
		for group++; group <= hi && n.op.RestoredWatermarkOf(group) == wm; group++ {
		}
		if wm != n.wm {
			item := binary.BigEndian.AppendUint32(nil, uint32(first))
			item = binary.BigEndian.AppendUint32(item, uint32(group-1))
			items = append(items, binary.BigEndian.AppendUint64(item, uint64(wm)))
		}
	}
	return items
}

// watermark is how far event time had come in a subtask: as far as in its own
// part, if the parallelism is as it was. Otherwise it is the highest of all parts, so
// that no key falls behind timers that have fired for it. They differ only if
// channels became idle or active at different moments for different subtasks:
// else a barrier follows the same watermarks everywhere.
func (r *restored) watermark(subtask, parallelism int) int64 {
	parts := r.parts
	if len(parts) == parallelism {
		parts = parts[subtask : subtask+1]
	}
	wm := connector.NoTime
	for i := range parts {
		wm = max(wm, watermarkIn(&parts[i]))
	}
	return wm
}

// watermarkOf is how far event time had come in the subtask that had a key group.
func (r *restored) watermarkOf(group, groups int) int64 {
	if len(r.parts) == 0 {
		return connector.NoTime
	}
	o := &r.parts[dataflow.SubtaskOf(group, groups, len(r.parts))]
	for _, item := range o.Lists[watermarkList] {
		if len(item) == 16 && group >= int(binary.BigEndian.Uint32(item)) && group <= int(binary.BigEndian.Uint32(item[4:])) {
			return int64(binary.BigEndian.Uint64(item[8:]))
		}
	}
	return watermarkIn(o)
}

func watermarkIn(o *snapshot.Operator) int64 {
	wm := connector.NoTime
	for _, item := range o.Lists[watermarkList] {
		if len(item) == 8 {
			wm = max(wm, int64(binary.BigEndian.Uint64(item)))
		}
	}
	return wm
}
