package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/cairnstream/cairn/dataflow"
)

var (
	// ErrForeignCluster is returned by Run when the data directory, or the
	// cluster that the controllers belong to, is another one's.
	ErrForeignCluster = errors.New("data directory belongs to another cluster")
	// ErrDataDirInUse is returned by Run when another agent uses the data directory.
	ErrDataDirInUse = errors.New("data directory is in use by another worker")
)

// dataDir is what the agent keeps on disk:
//
//	lock            held while an agent runs
//	worker.json     which worker of which cluster this is
//	listening.json  where this run listens
//	sockets         the directory in /tmp for this run's sockets
//	artifacts/      job executables under their SHA-256
//	jobs/<job>/     log.0 and log.1: the output of the job's processes here;
//	                work: their working directory while one runs;
//	                state: local copies of the job's objects, and its spool
//	trace.jsonl     trace events, if asked for
//
// Nothing in it is needed to go on after a crash: all of it but worker.json
// may be deleted while no agent runs.
type dataDir struct {
	path string
	lock *os.File

	mu       sync.Mutex
	identity identity
}

// identity is the content of worker.json.
type identity struct {
	Format  int    `json:"format"`
	Worker  string `json:"worker"`
	Cluster string `json:"cluster,omitempty"` // empty until the first Welcome
}

// identityFormat is the version of worker.json.
const identityFormat = 1

// openDataDir makes the directory if need be and locks it. The lock goes with
// the process, however it ends.
func openDataDir(path, worker string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	for _, dir := range []string{path, filepath.Join(path, "artifacts"), filepath.Join(path, "jobs")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("open data directory: %w", err)
		}
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	d := &dataDir{path: path, lock: lock}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, ErrDataDirInUse), lock.Close())
	}
	if err := d.loadIdentity(worker); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

func (d *dataDir) loadIdentity(worker string) error {
	data, err := os.ReadFile(d.file("worker.json"))
	if errors.Is(err, fs.ErrNotExist) {
		d.identity = identity{Format: identityFormat, Worker: worker}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read identity: %w", err)
	}
	if err := json.Unmarshal(data, &d.identity); err != nil {
		return fmt.Errorf("read identity %s: %w", d.file("worker.json"), err)
	}
	if d.identity.Format != identityFormat {
		return fmt.Errorf("read identity %s: format %d, this version knows %d", d.file("worker.json"), d.identity.Format, identityFormat)
	}
	if d.identity.Worker != worker {
		return fmt.Errorf("data directory %s belongs to worker %q, not %q: give it another --data-dir or its own --id", d.path, d.identity.Worker, worker)
	}
	return nil
}

// cluster is the one that this directory belongs to, or "".
func (d *dataDir) cluster() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.identity.Cluster
}

// join makes the directory cluster's at the first Welcome, and from then on
// refuses every other cluster.
func (d *dataDir) join(cluster string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.identity.Cluster {
	case cluster:
		return nil
	case "":
		next := d.identity
		next.Cluster = cluster
		if err := writeJSON(d.file("worker.json"), next); err != nil {
			return fmt.Errorf("join cluster %s: %w", cluster, err)
		}
		d.identity = next
		return nil
	}
	return fmt.Errorf("%w: %s belongs to cluster %s, the controllers to %s: use the right --controllers or an empty --data-dir",
		ErrForeignCluster, d.path, d.identity.Cluster, cluster)
}

func (d *dataDir) file(elements ...string) string {
	return filepath.Join(append([]string{d.path}, elements...)...)
}

func (d *dataDir) artifact(sha256 string) string { return d.file("artifacts", sha256) }

func (d *dataDir) jobDir(job dataflow.JobID) string { return d.file("jobs", string(job)) }

// Close releases the lock.
func (d *dataDir) Close() error { return d.lock.Close() }

// writeJSON replaces a file as a whole: after a crash it is the old or the new one.
func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".write-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // after the rename there is nothing to remove
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
