package changelog

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

var (
	modelSeed     = flag.Uint64("seed", 0, "run this program of TestRandomPrograms only")
	modelPrograms = flag.Int("programs", 60, "how many random programs TestRandomPrograms runs")
)

// moody is a bucket that is slow, stalls and fails as it pleases.
type moody struct {
	*spy
	mu   sync.Mutex
	rnd  *rand.Rand
	down bool
	calm bool
}

func (m *moody) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) error {
	m.mu.Lock()
	wait, fails, after := time.Duration(m.rnd.IntN(40))*time.Millisecond, m.rnd.IntN(20) == 0, m.rnd.IntN(2) == 0
	if m.rnd.IntN(15) == 0 {
		wait = time.Duration(m.rnd.IntN(3000)) * time.Millisecond
	}
	if fails = fails || m.down; m.calm {
		wait, fails = 0, false
	}
	m.mu.Unlock()
	time.Sleep(wait) // virtual time
	if fails && !after {
		return errors.New("connection refused")
	}
	if err := m.spy.Put(ctx, key, data, opts); err != nil {
		return err
	}
	if fails {
		return errors.New("answer lost")
	}
	return nil
}

// modelled is a log and what its store would hold at each position.
type modelled struct {
	log *Log
	now table
}

// program is a random program: logs, images, a moody store, and a leader that
// deletes what is released as soon as a checkpoint completes.
type program struct {
	t      *testing.T
	rnd    *rand.Rand
	bucket *moody
	u      *Uploader
	logs   []*modelled
	id     dataflow.CheckpointID
}

func TestRandomPrograms(t *testing.T) {
	if *modelSeed != 0 {
		runProgram(t, *modelSeed)
		return
	}
	for range *modelPrograms {
		seed := rand.Uint64()
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { runProgram(t, seed) }) {
			t.Fatalf("again with -run TestRandomPrograms -seed %d", seed)
		}
	}
}

func runProgram(t *testing.T, seed uint64) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		b := &moody{spy: newSpy(), rnd: rand.New(rand.NewPCG(seed, 2))}
		p := &program{t: t, rnd: rnd, bucket: b}
		p.u = setup(t, b, func(c *Config) {
			c.PackBytes, c.WaitingBytes = 200, 3000
			c.Image = ImagePolicy{LogBytesMin: 2000, LogPerLive: 1, SegmentsMax: 10, ObjectsMax: 20}
			c.Compression = []string{CompressNone, CompressS2, CompressZstd}[rnd.IntN(3)]
			c.SpoolOnly = rnd.IntN(2) == 0
			if rnd.IntN(4) > 0 {
				c.LocalDir, c.SpoolBytes = dir, 1<<20
			}
		})
		for i := range 1 + rnd.IntN(4) {
			p.logs = append(p.logs, &modelled{newLog(t, p.u, fmt.Sprint(i)), table{}})
		}
		for range 60 {
			p.step()
		}
		p.finish(dir)
	})
}

func (p *program) step() {
	switch p.rnd.IntN(12) {
	case 0, 1, 2, 3:
		p.batch(p.logs[p.rnd.IntN(len(p.logs))])
	case 4:
		time.Sleep(time.Duration(p.rnd.IntN(3000)) * time.Millisecond) // virtual time
	case 5:
		p.bucket.mu.Lock()
		p.bucket.down = !p.bucket.down && p.rnd.IntN(2) == 0
		p.bucket.mu.Unlock()
	default:
		p.checkpoint()
	}
}

// batch changes some entries. Without a disk it must not have to wait for a store
// that is down, which nobody would ever bring up again.
func (p *program) batch(m *modelled) {
	if p.u.cfg.LocalDir == "" && p.u.Stats().Waiting > 2000 {
		return
	}
	var b []byte
	n := 1 + p.rnd.IntN(20)
	for range n {
		k := string(rune('a' + p.rnd.IntN(26)))
		e := state.Entry{Group: int(k[0]) % groups, Key: []byte(k)}
		if e.Deleted = p.rnd.IntN(5) == 0; e.Deleted {
			delete(m.now, k)
		} else {
			m.now[k] = fmt.Sprintf("%d-%d", p.id, p.rnd.IntN(1000))
			e.Value = []byte(m.now[k])
		}
		b = state.AppendEntry(b, e)
	}
	m.log.Append(b, n)
}

// checkpoint makes cuts, perhaps images, some more changes, and seals. A handle
// must give exactly what was there at the cut.
func (p *program) checkpoint() {
	p.id++
	id := p.id
	cuts, at := map[*Log]state.Cut{}, map[*Log]table{}
	for _, m := range p.logs {
		if m.log.WantsImage(int64(20*len(m.now))) || p.rnd.IntN(15) == 0 {
			p.image(m)
		}
		cuts[m.log] = state.Cut{Position: inside(p.u, func() uint64 { return m.log.position })}
		at[m.log] = maps.Clone(m.now)
	}
	p.batch(p.logs[0]) // behind the barrier
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Duration(1+p.rnd.IntN(3000))*time.Millisecond)
	defer cancel()
	s, err := p.u.Seal(ctx, id, cuts)
	if err != nil {
		if !errors.Is(err, ErrStoreUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			p.t.Fatalf("seal: %v", err)
		}
		return
	}
	p.check(s, at)
	if p.rnd.IntN(3) > 0 {
		p.complete(id, s)
	}
}

// check compares the handles with the model, and the sums with the objects.
func (p *program) check(s *Seal, at map[*Log]table) {
	for l, want := range at {
		got := restored(p.t, p.bucket, 0, groups-1, s.Keyed[l])
		expected := []string{}
		for k, v := range want {
			expected = append(expected, k+"="+v)
		}
		slices.Sort(expected)
		equal(p.t, "log "+l.name, got, expected)
	}
	i := 0
	for _, r := range s.Objects {
		for n := r.Lo; n <= r.Hi; n++ {
			data, err := p.bucket.Get(p.t.Context(), objectKey(r.Prefix, n), 0, -1)
			if err != nil {
				p.t.Fatal(err)
			}
			equal(p.t, "sum", s.Sums[i], snapshot.Sum{Size: int64(len(data)), CRC32C: objectstore.CRC32C(data)})
			i++
		}
	}
}

// complete deletes what is released, unless the checkpoint names it: that is
// deleted when the checkpoint after it completes.
func (p *program) complete(id dataflow.CheckpointID, s *Seal) {
	for _, r := range s.Released {
		for n := r.Lo; n <= r.Hi; n++ {
			if err := p.bucket.Delete(p.t.Context(), objectKey(r.Prefix, n)); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	p.u.Completed(id)
}

// image gives the log an image, which may be fuzzy, slow or come to nothing.
func (p *program) image(m *modelled) {
	i := &picture{fuzzy: p.rnd.IntN(2) == 0}
	wait, fails := time.Duration(p.rnd.IntN(2000))*time.Millisecond, p.rnd.IntN(4) == 0
	i.before = func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		if fails {
			return errors.New("disk on fire")
		}
		return nil
	}
	for k, v := range m.now {
		i.blocks = append(i.blocks, entryBlock(v, k))
	}
	m.log.Image(i)
}

// finish lets everything come to rest: then the newest handles name all objects that
// are left, and there are no other local copies.
func (p *program) finish(dir string) {
	p.bucket.mu.Lock()
	p.bucket.down, p.bucket.calm = false, true
	p.bucket.mu.Unlock()
	time.Sleep(time.Minute) // virtual time
	synctest.Wait()
	var s *Seal
	for range 4 {
		p.id++
		cuts := map[*Log]state.Cut{}
		for _, m := range p.logs {
			cuts[m.log] = state.Cut{Position: inside(p.u, func() uint64 { return m.log.position })}
		}
		s = seal(p.t, p.u, p.id, cuts)
		p.complete(p.id, s)
		synctest.Wait()
	}
	var left runs
	err := p.bucket.List(p.t.Context(), "", func(i objectstore.Info) error { return left.addKey(i.Key) })
	if err != nil {
		p.t.Fatal(err)
	}
	equal(p.t, "objects that are left", left.merged(), s.Objects)
	u := p.u
	u.mu.Lock()
	defer u.mu.Unlock()
	equal(p.t, "at rest", []int64{u.waiting, u.memory, u.spooled, u.imageBytes, int64(u.pending), int64(u.uploading), int64(u.imageUploads), int64(u.preparing), int64(len(u.released))}, make([]int64, 9))
	equal(p.t, "sums", len(u.sums), len(s.Sums))
	for _, name := range localFiles(p.t, dir) {
		if key := "p/1/" + name[len(name)-14:]; u.cfg.SpoolOnly || u.sums[key].Size == 0 {
			p.t.Errorf("%s is still on disk", name)
		}
	}
}
