package ha_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cairnstream/cairn/ha"
)

// disk is a node's storage whose writes a test can make fail or hang.
type disk struct {
	raft.LogStore
	raft.StableStore

	mu  sync.Mutex
	bad func() error // nil: writes succeed
}

func (d *disk) breakWith(bad func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bad = bad
}

func (d *disk) write() error {
	d.mu.Lock()
	bad := d.bad
	d.mu.Unlock()
	if bad == nil {
		return nil
	}
	return bad()
}

func (d *disk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

func (d *disk) StoreLogs(l []*raft.Log) error {
	if err := d.write(); err != nil {
		return err
	}
	return d.LogStore.StoreLogs(l)
}

func (d *disk) Set(k, v []byte) error {
	if err := d.write(); err != nil {
		return err
	}
	return d.StableStore.Set(k, v)
}

func (d *disk) SetUint64(k []byte, v uint64) error {
	if err := d.write(); err != nil {
		return err
	}
	return d.StableStore.SetUint64(k, v)
}

// newFragileGroup is a group of three with disks that can break, and the errors
// of the nodes that gave up.
func newFragileGroup(t *testing.T) (*group, []*disk, <-chan error) {
	disks := make([]*disk, 3)
	g := newGroup(t, 3, func(i int, cfg *ha.Config) {
		disks[i] = &disk{LogStore: cfg.Storage.Log, StableStore: cfg.Storage.Stable}
		cfg.Storage = &ha.Storage{Log: disks[i], Stable: disks[i], Snapshots: cfg.Storage.Snapshots}
		cfg.DataDir = "/var/lib/cairn"
	})
	failures := make(chan error, 3)
	g.OnFatal = func(_ int, err error) { failures <- err }
	return g, disks, failures
}

// TestHungDisk: a leader whose disk hangs leads on, until the watchdog ends it.
func TestHungDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, disks, failures := newFragileGroup(t)
		keys := g.mustPropose("before", 3)
		leader := g.Leader()
		healed := make(chan struct{})
		disks[leader].breakWith(func() error { <-healed; return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := g.Node(leader).Propose(ctx, command{Key: "stuck"}.encode())
		cancel()
		if !errors.Is(err, ha.ErrUnknown) {
			t.Errorf("propose: %v, want outcome unknown", err)
		}
		if err := <-failures; !strings.Contains(err.Error(), "no answer from the disk of /var/lib/cairn for 5s") {
			t.Errorf("the node gave up with: %v", err)
		}
		began := time.Now()
		close(healed)
		g.Kill(leader)
		g.AwaitLeader(leader)
		if gap := time.Since(began); gap > 2*time.Second {
			t.Errorf("%v from the end of the process to the next leader", gap)
		}
		keys = append(keys, g.mustPropose("after", 3)...)
		g.awaitAll(keys)
	})
}

// TestFullDisk: the first failed write ends a node, whoever it is, with a word
// about what to do; it is not tried again.
func TestFullDisk(t *testing.T) {
	for _, role := range []string{"leader", "follower"} {
		t.Run(role, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, disks, failures := newFragileGroup(t)
				keys := g.mustPropose("before", 3)
				sick := g.Leader()
				if role == "follower" {
					sick = (sick + 1) % 3
				}
				tries := 0
				disks[sick].breakWith(func() error {
					tries++
					return &os.PathError{Op: "write", Path: "raft.db", Err: syscall.ENOSPC}
				})
				keys = append(keys, g.mustPropose("during", 3)...)
				err := <-failures
				if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "disk of data directory /var/lib/cairn is full") {
					t.Errorf("the node gave up with: %v", err)
				}
				disks[sick].breakWith(nil)
				time.Sleep(10 * time.Second)
				if tries != 1 {
					t.Errorf("%d writes reached the full disk, want 1", tries)
				}
				g.Kill(sick)
				g.Restart(sick)
				g.awaitAll(keys)
			})
		})
	}
}

// TestTermCannotBeWritten: where Raft would panic, the node gives up in order.
func TestTermCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, disks, failures := newFragileGroup(t)
		leader := g.Leader()
		sick := (leader + 1) % 3
		disks[sick].breakWith(func() error { return syscall.EIO })
		g.Kill(leader) // an election makes the others write a term
		if err := <-failures; !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "write term") {
			t.Errorf("the node gave up with: %v", err)
		}
		g.Restart(leader)
		g.AwaitLeader(sick)
	})
}

// TestDeposedLeaderCatchesUp is raft#697: a leader that was cut off with many
// entries that were never committed must find back, whatever was snapshotted.
func TestDeposedLeaderCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, often)
		old := g.Leader()
		g.Isolate(old)
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				if _, err := g.Node(old).Propose(t.Context(), command{Key: fmt.Sprint("lost-", i)}.encode()); err == nil {
					t.Errorf("proposal %d was acknowledged without a majority", i)
				}
			})
		}
		wg.Wait()
		g.AwaitLeader(old)
		keys := g.mustPropose("kept", 300)
		g.Heal()
		g.awaitAll(keys)
	})
}

// TestSnapshotIsInstalled: a node that missed more than the log keeps gets a
// snapshot.
func TestSnapshotIsInstalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, often)
		leader := g.Leader()
		missing := (leader + 1) % 3
		g.Kill(missing)
		g.proposeMany(11_000)
		time.Sleep(time.Second) // a snapshot is taken, and the log cut
		g.Restart(missing)
		g.awaitAll(g.machines[leader].all())
		if n := len(g.machines[missing].all()); n != 11_000 {
			t.Errorf("%d keys on the node that came back", n)
		}
	})
}

// proposeMany proposes n keys through the present leader, as fast as it takes them.
func (g *group) proposeMany(n int) {
	g.t.Helper()
	node := g.Node(g.Leader())
	var wg sync.WaitGroup
	for client := range 256 {
		wg.Go(func() {
			for i := client; i < n; i += 256 {
				if _, err := node.Propose(g.t.Context(), command{Key: fmt.Sprint(i)}.encode()); err != nil {
					g.t.Errorf("propose %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}
