package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
)

// ErrInUse is returned when another process runs the job in this folder.
var ErrInUse = errors.New("another process runs a job in this folder")

// ledger is what must survive the process: the content of the file "latest".
type ledger struct {
	Job      dataflow.JobID        `json:"job"`
	Name     string                `json:"name"`
	Attempt  dataflow.Attempt      `json:"attempt"`
	LastID   dataflow.CheckpointID `json:"last_checkpoint"`  // the last id that was given out
	Known    dataflow.CheckpointID `json:"commits_known"`    // sink commits are confirmed up to here
	Finished bool                  `json:"finished"`         // the data has ended and all of it is out
	Catalog  []byte                `json:"catalog,omitzero"` // catalog.Catalog in CBOR

	catalog *catalog.Catalog
}

// folder is a job's folder, locked.
type folder struct {
	dir  string
	lock *os.File
}

// openFolder makes and locks a job's folder. The lock goes with the process.
func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lockFile(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrInUse, dir, err), lock.Close())
	}
	return &folder{dir: dir, lock: lock}, nil
}

func (f *folder) close() error { return f.lock.Close() }

func (f *folder) bucket() string { return filepath.Join(f.dir, "bucket") }

// state is where a run keeps what only it needs: its spool, the lsm backend's files.
func (f *folder) state() string { return filepath.Join(f.dir, "state") }

// clearState removes what a run keeps, also what one that was killed has left.
func (f *folder) clearState() error {
	if err := os.RemoveAll(f.state()); err != nil {
		return fmt.Errorf("clear the state folder: %w", err)
	}
	return nil
}

// read returns the ledger; ok is false if there is none yet.
func (f *folder) read() (l ledger, ok bool, err error) {
	data, err := os.ReadFile(filepath.Join(f.dir, "latest"))
	if errors.Is(err, fs.ErrNotExist) {
		return ledger{}, false, nil
	}
	if err != nil {
		return ledger{}, false, err
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return ledger{}, false, fmt.Errorf("read %s: %w", filepath.Join(f.dir, "latest"), err)
	}
	l.catalog = catalog.New()
	if err := l.catalog.UnmarshalCBOR(l.Catalog); err != nil {
		return ledger{}, false, fmt.Errorf("read %s: catalog: %w", filepath.Join(f.dir, "latest"), err)
	}
	return l, true, nil
}

// write replaces the ledger. When it returns nil the new one is durable; when
// it fails either may be there, whole.
func (f *folder) write(l *ledger) (err error) {
	if l.Catalog, err = l.catalog.MarshalCBOR(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	next := filepath.Join(f.dir, "latest.next")
	if err := writeSynced(next, data); err != nil {
		return err
	}
	if err := os.Rename(next, filepath.Join(f.dir, "latest")); err != nil {
		return err
	}
	return syncDir(f.dir)
}

func writeSynced(path string, data []byte) error {
	w, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return errors.Join(err, w.Sync(), w.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
