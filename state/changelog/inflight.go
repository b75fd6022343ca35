package changelog

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// InFlight is what was in flight in one channel when a barrier overtook it.
type InFlight struct {
	Channel string   // for people who look into an object
	Batches [][]byte // as they travel between processes
}

// inFlight is a segment of it, which one checkpoint names and no other.
type inFlight struct {
	id      dataflow.CheckpointID
	segment *segment
}

// KeepInFlight takes what was in flight at the barriers of checkpoint id into the uploader's
// objects. It is called once for a checkpoint, before its Seal, which waits until it is
// durable and names it in the order of channels.
func (u *Uploader) KeepInFlight(id dataflow.CheckpointID, channels []InFlight) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.flight == nil {
		u.flight = &Log{u: u, name: "in flight"}
	}
	u.dropUnsentLocked(id)
	var p *pack
	for _, c := range channels {
		if p == nil || p.raw >= objectBytes {
			p = newPack()
			p.oldest = time.Now()
			u.queue = append(u.queue, p)
		}
		s := p.addLocked(u.flight, snapshot.Segment{Kind: snapshot.SegmentInFlight}, contentInFlight, nil, inFlightBlocks(c.Batches))
		last := &p.parts[len(p.parts)-1]
		last.log = "in flight " + c.Channel
		u.countInFlightLocked(p, int64(last.raw))
		u.inFlights = append(u.inFlights, inFlight{id, s})
	}
	u.signal()
}

// dropUnsentLocked lets go of what older checkpoints than id left that nobody has begun to send: they have
// come to nothing. While the store is away every checkpoint leaves some, and it must not
// take the room of the changes that wait.
func (u *Uploader) dropUnsentLocked(id dataflow.CheckpointID) {
	u.inFlights = slices.DeleteFunc(u.inFlights, func(f inFlight) bool {
		p := f.segment.pack
		if f.id >= id || f.segment.durable || p.busy() || len(p.tries) > 0 {
			return false
		}
		if !p.dropped {
			p.dropped = true
			for _, part := range p.parts {
				u.waiting -= int64(part.raw)
				part.owner.waiting -= int64(part.raw)
			}
			u.takesLocked(p, 0)
			p.parts = nil
			u.queue = slices.DeleteFunc(u.queue, func(q *pack) bool { return q == p })
			u.notifyLocked()
		}
		return true
	})
}

func (u *Uploader) countInFlightLocked(p *pack, size int64) {
	u.waiting += size
	u.memory += size
	u.flight.waiting += size
	p.memory = int64(p.raw)
}

// inFlightBlocks is the body of a segment, batch by batch.
func inFlightBlocks(batches [][]byte) []block {
	blocks := make([]block, 0, len(batches))
	for _, b := range batches {
		data := binary.AppendUvarint(make([]byte, 0, len(b)+binary.MaxVarintLen32), uint64(len(b)))
		blocks = append(blocks, block{append(data, b...), 1})
	}
	return blocks
}

// sealInFlightLocked returns the references of checkpoint id, and lets go of those that only
// older ones could name.
func (u *Uploader) sealInFlightLocked(id dataflow.CheckpointID) (refs []objectstore.Ref) {
	for _, f := range u.inFlights {
		if f.id == id {
			refs = append(refs, f.segment.Ref)
		}
	}
	return refs
}

// dropInFlightLocked lets go of what no later checkpoint than id will name: those of older
// ones, and id's own, which its record keeps for as long as it needs them. What is not durable
// yet stays until it is.
func (u *Uploader) dropInFlightLocked(id dataflow.CheckpointID) {
	u.inFlights = slices.DeleteFunc(u.inFlights, func(f inFlight) bool {
		gone := f.id <= id && f.segment.durable
		if gone {
			u.dropLocked(f.segment)
		}
		return gone
	})
}

// ReadInFlight reads the batches of one channel. local may be nil. An object that is missing or
// damaged is an *ObjectError.
func ReadInFlight(ctx context.Context, bucket objectstore.Bucket, local Copies, ref objectstore.Ref) ([][]byte, error) {
	src := &source{bucket: bucket, local: local}
	x := raw{}
	if local != nil {
		x.data, x.local = local.Read(ref, nil)
	}
	if !x.local {
		var err error
		if x.data, err = src.get(ctx, ref.Key, ref.Offset, ref.Offset+ref.Length, nil); err != nil {
			return nil, fmt.Errorf("read what was in flight: %w", err)
		}
	}
	f, err := x.decode(snapshot.Segment{Ref: ref}, nil)
	if err == nil && f.content != contentInFlight {
		err = damaged(ref.Key, fmt.Errorf("segment at %d holds nothing in flight: %w", ref.Offset, state.ErrCorrupt))
	}
	if err != nil {
		return nil, fmt.Errorf("read what was in flight: %w", err)
	}
	var batches [][]byte
	err = readBlocks(f.body, func(b []byte) error {
		batches = append(batches, b)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what was in flight: %w", damaged(ref.Key, err))
	}
	return batches, nil
}
