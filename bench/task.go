package bench

import (
	"context"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

const (
	// batchRows is the engine's default batch.
	batchRows = 1024
	// keyGroups is the default number of key groups.
	keyGroups = dataflow.DefaultKeyGroups
	// keySize is a 64-bit number's.
	keySize = 8
	// aggregateSize is a value's least size: count, sum, least and greatest.
	aggregateSize = 32
	// linger is the engine's default: a batch that is not full waits so long.
	linger = time.Millisecond
	// blockBatches is how many batches at saturation are drawn before they are applied
	// and timed together, so that reading the clock of a thread (0.5 µs) costs nothing.
	blockBatches = 8
)

// record is a change to make, as a keyed operator finds it in a batch.
type record struct {
	key   [keySize]byte
	group int
}

// task is one subtask's share of the state: a store, its log, and records to
// apply. One goroutine uses it.
type task struct {
	store  state.Store
	ahead  state.Prefetcher // the store, if a miss in it is dear
	batch  state.Batcher    // the store, if it takes batches
	log    *changelog.Log   // nil without a changelog
	handle state.Handle
	keys   uint64 // keys that the task has or will have
	value  int    // size of a value
	lo, hi int    // key groups
	number int    // of the task, to tell its keys from others'

	rand    *rand.Rand
	records []record
	wanted  []state.Wanted
	entries state.Batch
	current []record // the batch that each is about
	each    func(i int, value []byte, existed bool)
	cuts    chan cutRequest
}

// cutRequest asks a running task for its position at the end of its batch.
type cutRequest struct {
	id    dataflow.CheckpointID
	reply chan<- cutReply
}

type cutReply struct {
	task *task
	cut  state.Cut
}

// definition is the state that all tasks keep.
func definition(value int) state.Definition {
	return state.Definition{Name: "aggregates", Kind: "value", Schema: "bytes", SubSize: 0, ValueSize: value}
}

// newTask registers the state in a store for the key groups lo to hi.
func newTask(store state.Store, log *changelog.Log, number, lo, hi int, keys uint64, value int) (*task, error) {
	h, err := store.Register(definition(value))
	if err != nil {
		return nil, err
	}
	t := &task{
		store: store, log: log, handle: h, keys: keys, value: value, lo: lo, hi: hi, number: number,
		rand: rand.New(rand.NewPCG(uint64(number), 1)), records: make([]record, 0, blockBatches*batchRows),
		wanted: make([]state.Wanted, 0, batchRows), cuts: make(chan cutRequest, 1),
	}
	t.ahead, _ = store.(state.Prefetcher)
	t.batch, _ = store.(state.Batcher)
	t.each = func(i int, v []byte, existed bool) { t.change(v, &t.current[i], existed) }
	return t, nil
}

// key writes the task's i-th key: uniformly random 64-bit numbers, each once.
func (t *task) key(r *record, i uint64) {
	binary.LittleEndian.PutUint64(r.key[:], mix(i<<8|uint64(t.number)))
	r.group = t.lo + dataflow.KeyGroup(dataflow.KeyHash(r.key[:]), t.hi-t.lo+1)
}

// mix is the finalizer of splitmix64: a permutation of the 64-bit numbers.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draw fills records with n changes of keys chosen uniformly.
func (t *task) draw(n int) {
	t.records = t.records[:n]
	for i := range t.records {
		k, _ := bits.Mul64(t.rand.Uint64(), t.keys)
		t.key(&t.records[i], k)
	}
}

// apply makes the changes of one batch as a keyed operator does, and ends the batch.
func (t *task) apply(records []record) (err error) {
	if t.batch != nil {
		err = t.applyTogether(records)
	} else {
		err = t.applyEach(records)
	}
	if err != nil {
		return err
	}
	return t.store.EndBatch()
}

// applyTogether is what windows do: it lists the entries of the batch and changes them in one call.
func (t *task) applyTogether(records []record) error {
	t.entries.Reset()
	for i := range records {
		t.entries.Bytes = append(t.entries.Bytes, records[i].key[:]...)
		t.entries.EndKey(records[i].group)
	}
	t.current = records
	return t.batch.UpdateBatch(t.handle, &t.entries, t.value, t.each)
}

// applyEach sets the key of each record and changes its aggregate in place.
func (t *task) applyEach(records []record) error {
	if t.ahead != nil && t.ahead.Ahead() {
		if err := t.prefetch(records); err != nil {
			return err
		}
	}
	for i := range records {
		r := &records[i]
		t.store.SetKey(r.group, r.key[:])
		v, existed, err := t.store.Update(t.handle, nil, t.value)
		if err != nil {
			return err
		}
		t.change(v, r, existed)
	}
	return nil
}

func (t *task) prefetch(records []record) error {
	t.wanted = t.wanted[:len(records)]
	for i := range records {
		t.wanted[i] = state.Wanted{Handle: t.handle, Group: records[i].group, Key: records[i].key[:]}
	}
	return t.ahead.Prefetch(t.wanted)
}

// change adds a record to the aggregate v. What is beyond the aggregate in a larger
// value is written once, with bytes that do not compress.
func (t *task) change(v []byte, r *record, existed bool) {
	_ = v[aggregateSize-1]
	x := uint64(r.key[0])
	if !existed {
		binary.LittleEndian.PutUint64(v[16:], x)
		if len(v) > aggregateSize {
			fill(v[aggregateSize:], binary.LittleEndian.Uint64(r.key[:]))
		}
	}
	binary.LittleEndian.PutUint64(v, binary.LittleEndian.Uint64(v)+1)
	binary.LittleEndian.PutUint64(v[8:], binary.LittleEndian.Uint64(v[8:])+x)
	binary.LittleEndian.PutUint64(v[16:], min(binary.LittleEndian.Uint64(v[16:]), x))
	binary.LittleEndian.PutUint64(v[24:], max(binary.LittleEndian.Uint64(v[24:]), x))
}

// fill writes bytes that depend on seed and look random.
func fill(v []byte, seed uint64) {
	for len(v) >= 8 {
		seed = mix(seed)
		binary.LittleEndian.PutUint64(v, seed)
		v = v[8:]
	}
	for i := range v {
		v[i] = byte(seed >> (8 * i))
	}
}

// fill gives all of the task's keys a value, each once.
func (t *task) fill(ctx context.Context) error {
	for i := uint64(0); i < t.keys; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := min(batchRows, t.keys-i)
		t.records = t.records[:n]
		for j := range t.records {
			t.key(&t.records[j], i+uint64(j))
		}
		if err := t.apply(t.records); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// worked is what a task has done under load.
type worked struct {
	updates int64
	cpu     time.Duration // of the task's thread, in calls of the store
	wall    time.Duration // the same by the clock
}

// run applies records until stop closes, and at least once: rate a second, or as many as it can if
// rate is 0. Checkpoints cut it between two batches.
func (t *task) run(ctx context.Context, rate float64, stop <-chan struct{}) (worked, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var w worked
	p := newPacer(rate)
	defer p.timer.Stop()
	var stopped <-chan struct{} // heard only when something was measured
	for {
		n, wait := p.due(time.Now())
		if n == 0 {
			p.timer.Reset(wait)
			select {
			case <-stopped:
				return w, nil
			case <-ctx.Done():
				return w, context.Cause(ctx)
			case r := <-t.cuts:
				t.cut(r)
			case <-p.timer.C:
			}
			continue
		}
		select {
		case <-stopped:
			return w, nil
		case <-ctx.Done():
			return w, context.Cause(ctx)
		case r := <-t.cuts:
			t.cut(r)
		default:
		}
		if err := t.work(n, &w); err != nil {
			return w, err
		}
		stopped = stop
	}
}

// work applies n records, drawn beforehand, and counts what that took.
func (t *task) work(n int, w *worked) error {
	t.draw(n)
	cpu, at := threadCPU(), time.Now()
	for rest := t.records; len(rest) > 0; {
		batch := rest[:min(batchRows, len(rest))]
		if err := t.apply(batch); err != nil {
			return err
		}
		rest = rest[len(batch):]
	}
	w.updates += int64(n)
	w.wall += time.Since(at)
	w.cpu += threadCPU() - cpu
	return nil
}

// cut answers a request for the position.
func (t *task) cut(r cutRequest) { r.reply <- cutReply{t, t.store.Cut(r.id)} }
