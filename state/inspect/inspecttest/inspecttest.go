// Package inspecttest writes checkpoints of keyed state for tests, as a task
// process does: stores with logs, an uploader, and a part of a checkpoint's metadata.
package inspecttest

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
	"github.com/cairnstream/cairn/state/lsm"
	"github.com/cairnstream/cairn/state/memory"
)

// Config is what a Process is.
type Config struct {
	Bucket objectstore.Bucket
	// Prefix is where its objects go, ending in "/".
	Prefix      string
	UID         dataflow.UID // of its operator
	KeySchema   string
	KeyGroups   int
	Parallelism int
	// Backend is the kind of store. Default: memory.
	Backend string
	// Images makes full images be written after the second checkpoint with changes.
	Images bool
	// MemoryBytes is the memory of each store of backend lsm. Default: lsm's.
	MemoryBytes int64
}

// Process runs all subtasks of one operator with keyed state. It is for one goroutine.
type Process struct {
	t        testing.TB
	cfg      Config
	uploader *changelog.Uploader
	subtasks []*subtask
	// Lists is the operator state of every subtask's next part.
	Lists map[string][][]byte
}

// subtask is a store that notes which states it has.
type subtask struct {
	state.Store
	lo, hi int
	log    *changelog.Log
	states []snapshot.State
}

func (s *subtask) Register(d state.Definition) (state.Handle, error) {
	h, err := s.Store.Register(d)
	if err == nil && int(h) == len(s.states) {
		s.states = append(s.states, snapshot.State{Name: d.Name, Kind: d.Kind, Schema: d.Schema, TTL: d.TTL})
	}
	return h, err
}

// Start starts a process, which the test's end stops.
func Start(t testing.TB, cfg Config) *Process {
	t.Helper()
	cfg.Backend = cmp.Or(cfg.Backend, "memory")
	c := changelog.Config{Bucket: cfg.Bucket, Prefix: cfg.Prefix}
	if cfg.Images {
		c.Image.SegmentsMax = 1
	}
	u, err := changelog.New(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, cfg: cfg, uploader: u}
	for i := range cfg.Parallelism {
		p.subtasks = append(p.subtasks, p.open(i))
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-ended
		for _, s := range p.subtasks {
			s.Close()
		}
	})
	return p
}

// store opens a store of the kind that is asked for.
func (p *Process) store(lo, hi int, log state.Log) (state.Store, error) {
	if p.cfg.Backend == "lsm" {
		return lsm.Open(lsm.Config{GroupLo: lo, GroupHi: hi, Log: log, Dir: filepath.Join(p.t.TempDir(), "store"), MemoryBytes: p.cfg.MemoryBytes})
	}
	return memory.Open(memory.Config{GroupLo: lo, GroupHi: hi, Log: log})
}

func (p *Process) open(i int) *subtask {
	p.t.Helper()
	lo, hi := dataflow.GroupRange(p.cfg.KeyGroups, p.cfg.Parallelism, i)
	log, err := p.uploader.Log(fmt.Sprint(i), lo, hi)
	if err != nil {
		p.t.Fatal(err)
	}
	s, err := p.store(lo, hi, log)
	if err != nil {
		p.t.Fatal(err)
	}
	return &subtask{Store: s, lo: lo, hi: hi, log: log}
}

// Stores are the subtasks' stores, to register states with.
func (p *Process) Stores() []state.Store {
	var all []state.Store
	for _, s := range p.subtasks {
		all = append(all, s)
	}
	return all
}

// SetKey chooses a key in the store that owns it, and returns that store's number.
func (p *Process) SetKey(key []byte) int {
	group := dataflow.KeyGroup(dataflow.KeyHash(key), p.cfg.KeyGroups)
	for i, s := range p.subtasks {
		if s.lo <= group && group <= s.hi {
			s.SetKey(group, key)
			return i
		}
	}
	p.t.Fatalf("no subtask owns key group %d", group)
	return 0
}

// Checkpoint takes a checkpoint and returns the process's part of it. All changes
// up to now are in it.
func (p *Process) Checkpoint(id dataflow.CheckpointID) snapshot.Process {
	p.t.Helper()
	cuts := map[*changelog.Log]state.Cut{}
	for _, s := range p.subtasks {
		if err := s.EndBatch(); err != nil {
			p.t.Fatal(err)
		}
		cuts[s.log] = s.Cut(id)
	}
	seal, err := p.uploader.Seal(p.t.Context(), id, cuts)
	if err != nil {
		p.t.Fatal(err)
	}
	part := snapshot.Process{Process: "p", Objects: seal.Objects, Sums: p.sums(seal.Objects), Released: seal.Released, Bytes: seal.Bytes, Puts: seal.Puts}
	for i, s := range p.subtasks {
		k := seal.Keyed[s.log]
		k.Backend, k.KeySchema, k.States = p.cfg.Backend, p.cfg.KeySchema, s.states
		part.Subtasks = append(part.Subtasks, snapshot.Subtask{
			Task:      dataflow.TaskID{Vertex: 1, Subtask: i},
			Operators: []snapshot.Operator{{UID: p.cfg.UID, Keyed: &k, Lists: p.Lists}},
		})
	}
	return part
}

// imagedWithin bounds how long images may take.
const imagedWithin = time.Minute

// Imaged takes checkpoints, from id on, until each subtask's part begins with a
// full image, and returns the last.
func (p *Process) Imaged(id dataflow.CheckpointID) snapshot.Process {
	p.t.Helper()
	for begun := time.Now(); time.Since(begun) < imagedWithin; id++ {
		part := p.Checkpoint(id)
		imaged := !slices.ContainsFunc(part.Subtasks, func(s snapshot.Subtask) bool {
			return !slices.ContainsFunc(s.Operators[0].Keyed.Segments, func(g snapshot.Segment) bool { return g.Base })
		})
		if imaged {
			return part
		}
	}
	p.t.Fatalf("no images within %v", imagedWithin)
	return snapshot.Process{}
}

// sums reads the objects and sums them up.
func (p *Process) sums(runs []snapshot.Run) []snapshot.Sum {
	p.t.Helper()
	var sums []snapshot.Sum
	for _, r := range runs {
		for n := r.Lo; n <= r.Hi; n++ {
			data, err := p.cfg.Bucket.Get(p.t.Context(), fmt.Sprintf("%s%012d.0", r.Prefix, n), 0, -1)
			if err != nil {
				p.t.Fatal(err)
			}
			sums = append(sums, snapshot.Sum{Size: int64(len(data)), CRC32C: crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))})
		}
	}
	return sums
}
