package worker

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

const (
	// fetchTimeout bounds the fetching of an artifact: 100 MB at 1 MB/s fit.
	fetchTimeout = 2 * time.Minute
	// artifactsKept is how many artifacts that no job here uses are kept, for
	// jobs that come back.
	artifactsKept = 4
	artifactMode  = 0o755
)

// artifacts keeps job executables under their SHA-256. An executable is there
// as a whole or not at all: a crash leaves at worst a temporary file beside it.
type artifacts struct {
	dir *dataDir

	mu     sync.Mutex
	url    string // of the cluster's object store, once a leader has told
	bucket objectstore.Bucket
	users  map[string]int // processes and plans that run an artifact
}

// setStore says where the cluster's objects are.
func (a *artifacts) setStore(url string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.url = url
}

// store is the URL of the cluster's object store.
func (a *artifacts) store() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.url
}

// acquire returns the path of an executable that is certainly the one with this
// hash, and fetches it if need be. It stays until the caller releases it.
func (a *artifacts) acquire(ctx context.Context, sha256 string) (path string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock() // one fetch at a time: two would only share the same wire
	path, err = a.fetchLocked(ctx, sha256)
	if err != nil {
		return "", fmt.Errorf("fetch artifact %.12s: %w", sha256, err)
	}
	a.users[sha256]++
	return path, nil
}

func (a *artifacts) fetchLocked(ctx context.Context, sha256 string) (string, error) {
	if raw, err := hex.DecodeString(sha256); err != nil || len(raw) != 32 {
		return "", fmt.Errorf("%q is no SHA-256", sha256)
	}
	path := a.dir.artifact(sha256)
	if verified(path, sha256) {
		return path, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if a.bucket == nil {
		bucket, err := open.Open(ctx, a.url, open.Options{})
		if err != nil {
			return "", err
		}
		a.bucket = bucket
	}
	key := a.dir.cluster() + "/artifacts/" + sha256
	return path, objectstore.Fetch(ctx, a.bucket, key, sha256, path, artifactMode)
}

// verified tells whether the file has this hash. One that was damaged on disk
// is fetched again.
func verified(path, sha256 string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	sum, _, err := objectstore.SHA256(f)
	return err == nil && sum == sha256
}

// release gives an artifact back. Of those that nobody uses the oldest go.
func (a *artifacts) release(sha256 string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users[sha256]--; a.users[sha256] <= 0 {
		delete(a.users, sha256)
	}
	return pruneOldest(a.dir.file("artifacts"), artifactsKept, func(name string) bool { return a.users[name] > 0 })
}

// Close closes the bucket.
func (a *artifacts) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bucket == nil {
		return nil
	}
	return a.bucket.Close()
}

// pruneOldest removes the entries of a directory that are not in use, but for
// the newest kept.
func pruneOldest(dir string, kept int, inUse func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("prune %s: %w", dir, err)
	}
	type old struct {
		name     string
		modified time.Time
	}
	var idle []old
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !inUse(e.Name()) {
			idle = append(idle, old{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(idle, func(x, y old) int { return y.modified.Compare(x.modified) })
	for _, o := range idle[min(kept, len(idle)):] {
		if err := os.RemoveAll(dir + "/" + o.name); err != nil {
			return fmt.Errorf("prune %s: %w", dir, err)
		}
	}
	return nil
}
