package ha

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// ErrInUse is returned by Open when another process has the data directory.
var ErrInUse = errors.New("data directory is in use by another process")

const (
	logFile      = "raft.db"
	snapshotsDir = "snapshots" // Raft's own choice of name
	// snapshotsKept has one to spare, for an operator who has to look at it:
	// a node never starts from an older one by itself.
	snapshotsKept = 2
	// lockTimeout bounds the wait for a predecessor that is just ending.
	lockTimeout = time.Second
	// logCacheEntries spares the disk when a follower is a little behind.
	logCacheEntries = 512
)

// openStorage is the storage of a running node.
type openStorage struct {
	log       raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore

	dog     *watchdog
	closers []io.Closer
}

// openStores opens the node's storage and checks that it is ours and sound.
func openStores(cfg Config, fail func(error)) (*openStorage, error) {
	s := &openStorage{dog: &watchdog{dir: cfg.DataDir, limit: cfg.StallTimeout, fail: fail}}
	raw := cfg.Storage
	if raw == nil {
		var err error
		if raw, err = s.openDir(cfg); err != nil {
			return nil, err
		}
	}
	if err := checkStorage(raw); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s: %w", cfg.DataDir, err), s.Close())
	}
	// Raft's first write is the term, and it panics if that fails: find a full
	// disk before.
	if err := raw.Stable.SetUint64([]byte("CairnProbe"), 1); err != nil {
		return nil, errors.Join(s.dog.explain("write a probe", err), s.Close())
	}
	cache, err := raft.NewLogCache(logCacheEntries, watchedLog{raw.Log, s.dog})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.log, s.stable, s.snapshots = cache, watchedStable{raw.Stable, s.dog}, raw.Snapshots
	return s, nil
}

// openDir opens the stores in the data directory. bbolt's lock on the log keeps
// other processes out; the identity is checked again under it, since two new
// nodes may have come at the same time.
func (s *openStorage) openDir(cfg Config) (*Storage, error) {
	if err := claim(cfg.DataDir, cfg.identity()); err != nil {
		return nil, fmt.Errorf("claim data directory: %w", err)
	}
	path := filepath.Join(cfg.DataDir, logFile)
	bolt, err := raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bbolt.Options{
			Timeout: lockTimeout,
			// Without these two a file with many free pages makes each write
			// ten times slower.
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
		},
		MsgpackUseNewTimeFormat: true,
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: %s", ErrInUse, cfg.DataDir)
	}
	if err != nil {
		return nil, s.dog.explain("open log", err)
	}
	s.closers = append(s.closers, bolt)
	if err := checkIdentity(cfg.DataDir, cfg.identity()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(cfg.DataDir, snapshotsKept, newRaftLog(cfg.Log))
	if err == nil {
		err = checkSnapshotDir(filepath.Join(cfg.DataDir, snapshotsDir))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshots: %w", err), s.Close())
	}
	return &Storage{Log: bolt, Stable: bolt, Snapshots: snapshots}, nil
}

// arm makes errors of the stores end the node; disarm, before they are closed,
// makes them harmless.
func (s *openStorage) arm()    { s.dog.armed.Store(true) }
func (s *openStorage) disarm() { s.dog.armed.Store(false) }

// Close closes the stores, the last first.
func (s *openStorage) Close() error {
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Raft's own keys in the stable store.
var (
	keyTerm = []byte("CurrentTerm")
	keyVote = []byte("LastVoteTerm")
)

// undoBootstrap makes a node empty again that crashed while it wrote the initial
// configuration: Raft writes term 1 first, and then takes a term without a log
// for state that it must not overwrite. Term 1 comes from nowhere else, since the
// first election is for term 2; so the node has neither voted nor heard anybody.
func (s *openStorage) undoBootstrap() error {
	term, err := s.stable.GetUint64(keyTerm)
	if err != nil && !notFound(err) {
		return err
	}
	last, err := s.log.LastIndex()
	if err != nil {
		return err
	}
	snapshots, err := s.snapshots.List()
	if err != nil {
		return err
	}
	voted, err := s.stable.GetUint64(keyVote)
	if err != nil && !notFound(err) {
		return err
	}
	if term != 1 || last != 0 || len(snapshots) > 0 || voted != 0 {
		return nil
	}
	return s.stable.SetUint64(keyTerm, 0)
}

// checkStorage checks what Raft would pass over in silence: a damaged newest
// snapshot, in whose place it takes an older one, and a gap between snapshot and
// log. Either would bring back old state, with acknowledged entries missing.
func checkStorage(s *Storage) error {
	newest, err := checkNewestSnapshot(s.Snapshots)
	if err != nil {
		return err
	}
	first, err := s.Log.FirstIndex()
	if err != nil {
		return fmt.Errorf("read first index: %w", err)
	}
	if first > newest+1 {
		return fmt.Errorf("%w: the log begins at entry %d, the newest snapshot ends at %d. %s", ErrCorrupt, first, newest, howToReplace)
	}
	return nil
}

// howToReplace is what remains to be done with a damaged node.
const howToReplace = "Nothing was changed. With the other controllers up, this one can be replaced: " +
	"move its data directory away and add it again as a new member, under another ID"

// checkNewestSnapshot reads the newest snapshot to its end and returns its index.
func checkNewestSnapshot(store raft.SnapshotStore) (index uint64, err error) {
	all, err := store.List()
	if err != nil {
		return 0, fmt.Errorf("list snapshots: %w", err)
	}
	if len(all) == 0 {
		return 0, nil
	}
	_, content, err := store.Open(all[0].ID)
	if err == nil {
		_, _, err = readSnapshot(content)
		err = errors.Join(err, content.Close())
	}
	if err != nil {
		return 0, fmt.Errorf("%w: newest snapshot %s: %w. %s", ErrCorrupt, all[0].ID, err, howToReplace)
	}
	return all[0].Index, nil
}

// checkSnapshotDir finds snapshots whose description can't be read: Raft's store
// leaves them out of its list.
func checkSnapshotDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasSuffix(e.Name(), ".tmp") {
			continue // a snapshot that was being written when the node ended
		}
		var meta raft.SnapshotMeta
		data, err := os.ReadFile(filepath.Join(dir, e.Name(), "meta.json"))
		if err == nil {
			err = json.Unmarshal(data, &meta)
		}
		if err == nil && meta.ID != e.Name() {
			err = fmt.Errorf("it describes snapshot %q", meta.ID)
		}
		if err != nil {
			return fmt.Errorf("%w: description of snapshot %s: %w. %s", ErrCorrupt, e.Name(), err, howToReplace)
		}
	}
	return nil
}
