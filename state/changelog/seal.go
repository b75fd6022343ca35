package changelog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// Seal is what a checkpoint says about the keyed state of a process: for
// snapshot.Process.
type Seal struct {
	// Keyed is each log's complete handle: inherited segments or an image,
	// then the changes up to the cut.
	Keyed map[*Log]snapshot.Keyed
	// InFlight are what KeepInFlight took for this checkpoint, in its order.
	InFlight []objectstore.Ref
	// Objects are the runs of objects that the handles, and InFlight, name.
	Objects []snapshot.Run
	// Sums are the sums of Objects, run by run in the order of the numbers. Those of
	// inherited objects are zero if InheritSums was not told.
	Sums []snapshot.Sum
	// Released are this process's objects that no handle will name again.
	Released []snapshot.Run
	// Puts and Bytes count what was uploaded since the last Seal.
	Puts, Bytes int64
}

// Seal makes everything up to the cuts durable and returns the logs' handles.
// cuts holds one cut for each log that takes part, taken for checkpoint id.
//
// When the store does not take what the checkpoint needs, Seal returns an
// ErrStoreUnavailable that names an object and the cause, after one more try. It
// does not judge a store that is only slow: its caller knows how long a
// checkpoint may take. Nothing is lost: the upload goes on being tried, and the
// next Seal covers it. Seal needs Run; it returns ErrStopped when Run has ended, and
// ctx's cause when ctx has.
func (u *Uploader) Seal(ctx context.Context, id dataflow.CheckpointID, cuts map[*Log]state.Cut) (*Seal, error) {
	waits, failed, err := u.beginSeal(id, cuts)
	if err != nil {
		return nil, fmt.Errorf("seal checkpoint %d: %w", id, err)
	}
	defer u.endSeal()
	u.signal()
	for _, p := range waits {
		if err := u.await(ctx, p, failed); err != nil {
			return nil, fmt.Errorf("seal checkpoint %d: %w", id, err)
		}
	}
	return u.finishSeal(id, cuts)
}

// beginSeal packs what the cuts cover and returns the packs to wait for, and how
// many uploads have failed so far.
func (u *Uploader) beginSeal(id dataflow.CheckpointID, cuts map[*Log]state.Cut) (waits []*pack, failed int64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	unpacked := false
	for l, cut := range cuts {
		if cut.Position > l.position {
			return nil, 0, fmt.Errorf("changelog %q: cut at %d, but there are %d entries", l.name, cut.Position, l.position)
		}
		unpacked = unpacked || cut.Position > l.packed
	}
	if unpacked {
		u.packLocked()
	}
	needed := map[*pack]bool{}
	for _, f := range u.inFlights {
		needed[f.segment.pack] = f.id == id && !f.segment.durable || needed[f.segment.pack]
	}
	for l, cut := range cuts {
		for _, s := range l.segments {
			if !s.durable && s.From < cut.Position {
				needed[s.pack] = true
			}
		}
	}
	for _, p := range u.queue { // oldest first
		if needed[p] {
			p.retryAt, u.retryAt = time.Time{}, time.Time{} // now
			waits = append(waits, p)
		}
	}
	u.seals++
	return waits, u.stats.Failed, nil
}

func (u *Uploader) endSeal() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seals--
	u.signal()
}

// errOvertaken is why a Seal ends when a newer checkpoint has taken the place of its own.
var errOvertaken = errors.New("what was in flight is given up: a newer checkpoint has begun")

// await waits until the pack is durable, or an upload has failed once more and none
// has succeeded since.
func (u *Uploader) await(ctx context.Context, p *pack, failed int64) error {
	for {
		u.mu.Lock()
		durable, dropped, err := p.durable, p.dropped, u.lastErr
		down := u.down > 0 && u.stats.Failed > failed && !p.busy()
		stopped, changed := u.stopped, u.changed
		u.mu.Unlock()
		switch {
		case durable:
			return nil
		case dropped:
			return errOvertaken
		case down:
			return err
		case stopped:
			return ErrStopped
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// finishSeal builds the handles. Everything that the cuts cover is durable.
func (u *Uploader) finishSeal(id dataflow.CheckpointID, cuts map[*Log]state.Cut) (*Seal, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	seal := &Seal{Keyed: make(map[*Log]snapshot.Keyed, len(cuts))}
	var named runs
	sums := map[string]snapshot.Sum{}
	for l, cut := range cuts {
		k := l.handleLocked(id, cut)
		for _, s := range k.Segments {
			if _, ok := sums[s.Ref.Key]; ok {
				continue
			}
			if err := named.addKey(s.Ref.Key); err != nil {
				return nil, fmt.Errorf("seal checkpoint %d: changelog %q: %w", id, l.name, err)
			}
			sums[s.Ref.Key] = u.sums[s.Ref.Key]
		}
		seal.Keyed[l] = k
	}
	seal.InFlight = u.sealInFlightLocked(id)
	for _, ref := range seal.InFlight {
		if err := named.addKey(ref.Key); err != nil {
			return nil, fmt.Errorf("seal checkpoint %d: in flight: %w", id, err)
		}
		sums[ref.Key] = u.sums[ref.Key]
	}
	seal.Objects = named.merged()
	seal.Sums = sumsOf(seal.Objects, sums)
	seal.Released = u.reportLocked(id)
	u.dropInFlightLocked(id)
	u.stats.Objects = len(seal.Sums)
	seal.Puts, seal.Bytes = u.stats.Puts-u.reported.Puts, u.stats.Bytes-u.reported.Bytes
	u.reported = u.stats
	u.tidyEarlierLocked()
	return seal, nil
}
