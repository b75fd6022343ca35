package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state/changelog"
)

// ErrInFlight is returned for a restore point with records in flight that the program can't
// take: another program restores only from a checkpoint whose barriers were aligned.
var ErrInFlight = errors.New("the checkpoint has records in flight that the program does not fit")

// replay is what was in flight to a subtask at the restore point, and comes before anything
// from upstream.
type replay struct{ batches []replayed }

// replayed is a batch that was in flight.
type replayed struct {
	inlet      inlet
	payload    []byte
	edge, from int // of the plan, as in the checkpoint
	rows, age  int
}

func (r *replay) left() bool { return len(r.batches) > 0 }

// takeReplay processes the next batch that was in flight.
func (s *subtask) takeReplay() error {
	b := s.replay.batches[0]
	s.replay.batches[0] = replayed{}
	s.replay.batches = s.replay.batches[1:]
	rows, err := b.inlet.payload(b.payload)
	s.stats.in.Add(int64(rows))
	return err
}

// checkInFlight refuses records in flight of edges that the program does not have, or has
// otherwise.
func checkInFlight(p *Program, r *Restore) error {
	if r == nil || !snapshot.HasInFlight(r.Processes) {
		return nil
	}
	plan, err := p.Graph.Plan()
	if err != nil {
		return err
	}
	for _, process := range r.Processes {
		for _, e := range process.Edges {
			if e.Index < len(plan.Edges) && p.edge(plan.Edges[e.Index]) == e {
				continue
			}
			return fmt.Errorf("%w: edge %d, %q -> %q, of %s: restore at the parallelism that it had, or from a checkpoint that was aligned, as a savepoint is",
				ErrInFlight, e.Index, e.From, e.To, e.Schema)
		}
	}
	return nil
}

// inFlightTo is what was in flight in an edge at the restore point, in the order in which a
// subtask takes it: what is older first, and channel by channel, the receiver's part before the
// sender's.
func (r *Restore) inFlightTo(edge int) []snapshot.InFlight {
	if r == nil {
		return nil
	}
	var all []snapshot.InFlight
	for _, p := range r.Processes {
		for _, s := range p.Subtasks {
			for _, f := range s.InFlight {
				if f.Edge == edge {
					all = append(all, f)
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b snapshot.InFlight) int {
		return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(b.Age, a.Age), cmp.Compare(a.From, b.From), compareBool(a.Output, b.Output))
	})
	return all
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// replaying reads what was in flight to the subtasks here.
func (b *builder) replaying(ctx context.Context) error {
	from := b.a.cfg.Restore
	if from == nil || !snapshot.HasInFlight(from.Processes) {
		return nil
	}
	var local changelog.Copies
	if b.a.cfg.LocalDir != "" && localRecovery(&b.a.cfg) {
		local = changelog.OpenLocal(filepath.Join(b.a.cfg.LocalDir, changelog.LocalFolder))
	}
	bucket := from.Bucket
	if bucket == nil {
		bucket = b.a.cfg.Bucket
	}
	read := func(ctx context.Context, ref objectstore.Ref) ([][]byte, error) {
		ref.Key = from.Prefix + ref.Key
		return changelog.ReadInFlight(ctx, bucket, local, ref)
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(replayReads)
	for _, s := range b.a.subtasks {
		group.Go(func() error {
			for _, e := range b.a.plan.Edges {
				if e.To != s.task.Vertex {
					continue
				}
				if err := b.replayEdge(inner, read, s, e); err != nil {
					return fmt.Errorf("restore checkpoint %d: %w", from.Checkpoint, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// replayReads is how many subtasks read at once: it is little data in few objects.
const replayReads = 8

// readInFlight reads the batches of a channel.
type readInFlight func(context.Context, objectstore.Ref) ([][]byte, error)

// replayEdge reads a subtask's share of what was in flight in an edge.
func (b *builder) replayEdge(ctx context.Context, read readInFlight, s *subtask, e dataflow.PlanEdge) error {
	all := b.a.cfg.Restore.inFlightTo(e.Index)
	if len(all) == 0 {
		return nil
	}
	before := len(b.restored[b.a.program.Graph.Edges[e.Edge].To].parts)
	in, err := b.a.program.Edges[e.Edge].inlet(s.nodes[0], b.a.program.Graph.Edges[e.Edge].Input)
	if err != nil {
		return err
	}
	for i, f := range all {
		mine, ok := b.share(s, e, f, i, before)
		if !ok {
			continue
		}
		batches, err := read(ctx, f.Ref)
		if err != nil {
			return fmt.Errorf("edge %d, channel %d -> %d: %w", f.Edge, f.From, f.To, err)
		}
		for _, p := range batches {
			batch := replayed{inlet: in, payload: p, edge: e.Index, from: f.From, age: f.Age, rows: int(f.Rows) / len(batches)}
			if err := mine.narrow(&batch); err != nil {
				return fmt.Errorf("edge %d, channel %d -> %d: %w", f.Edge, f.From, f.To, err)
			}
			s.replay.batches = append(s.replay.batches, batch)
		}
	}
	return nil
}

// portion is what a subtask takes of a channel: all of it, or some key groups.
type portion struct {
	some   bool
	lo, hi int
}

// narrow leaves in a batch what is the subtask's. It is done when the batch is read and not when it is
// processed: what a checkpoint keeps of it once more must be the subtask's own and nothing
// else, whatever the next parallelism is.
func (p portion) narrow(b *replayed) (err error) {
	if p.some {
		b.payload, b.rows, err = b.inlet.narrow(b.payload, p.lo, p.hi)
	}
	return err
}

// share is what a subtask takes of number i of an edge's channels with something in flight, whose
// receivers were so many before: its own if they are as many now; else, of an
// edge by hash, the key groups that it has now, and of others its turn.
func (b *builder) share(s *subtask, e dataflow.PlanEdge, f snapshot.InFlight, i, before int) (mine portion, ok bool) {
	parallelism, groups := b.a.plan.Vertices[e.To].Parallelism, b.a.program.Graph.KeyGroups
	if e.Partitioning != dataflow.Hash {
		if before == parallelism {
			return mine, f.To == s.task.Subtask
		}
		return mine, i%parallelism == s.task.Subtask
	}
	lo, hi := dataflow.GroupRange(groups, parallelism, s.task.Subtask)
	oldLo, oldHi := dataflow.GroupRange(groups, before, f.To)
	mine = portion{lo > oldLo || hi < oldHi, max(lo, oldLo), min(hi, oldHi)}
	return mine, mine.lo <= mine.hi
}
