package lsm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/fxamacker/cbor/v2"

	"github.com/cairnstream/cairn/state"
)

// manifest is the small file of an image, which describes the others. It is
// encoded as CBOR.
type manifest struct {
	Version int `cbor:"1,keyasint"`
	// Database is the first part of the files' names. A store that opened the files as
	// they are goes on with it.
	Database string          `cbor:"2,keyasint"`
	GroupLo  int             `cbor:"3,keyasint"` // of the store
	GroupHi  int             `cbor:"4,keyasint"`
	Entries  int64           `cbor:"5,keyasint"` // live, at the image's position
	Bytes    int64           `cbor:"6,keyasint"`
	States   []manifestState `cbor:"7,keyasint"` // by handle
	Files    []manifestFile  `cbor:"8,keyasint"` // sorted tables
	Small    []smallFile     `cbor:"9,keyasint"` // what else Pebble needs to open them
}

const manifestVersion = 1

type manifestState struct {
	Name   string        `cbor:"1,keyasint"`
	Kind   string        `cbor:"2,keyasint"`
	Schema string        `cbor:"3,keyasint"`
	TTL    time.Duration `cbor:"4,keyasint,omitempty"`
}

func (m manifestState) definition() state.Definition {
	return state.Definition{
		Name: m.Name, Kind: m.Kind, Schema: m.Schema, TTL: m.TTL,
		SubSize: state.Variable, ValueSize: state.Variable,
	}
}

// manifestFile is a sorted table of an image.
type manifestFile struct {
	Name    string `cbor:"1,keyasint"` // in the image
	File    string `cbor:"2,keyasint"` // in Pebble's folder
	Size    int64  `cbor:"3,keyasint"`
	CRC32C  uint32 `cbor:"4,keyasint"`
	GroupLo int    `cbor:"5,keyasint"` // of its entries
	GroupHi int    `cbor:"6,keyasint"`
}

type smallFile struct {
	File string `cbor:"1,keyasint"`
	Data []byte `cbor:"2,keyasint"`
}

// manifestPrefix begins the name of a manifest, after the database's.
const manifestPrefix = "image-"

func isManifest(name string) bool {
	_, file, ok := strings.Cut(name, "/")
	return ok && strings.HasPrefix(file, manifestPrefix)
}

func parseManifest(data []byte) (*manifest, error) {
	m := &manifest{}
	if err := cbor.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%w: %w", state.ErrCorrupt, err)
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("image of version %d, this program reads version %d", m.Version, manifestVersion)
	}
	for _, f := range m.Files {
		if f.File != filepath.Base(f.File) {
			return nil, fmt.Errorf("%w: file name %q", state.ErrCorrupt, f.File)
		}
	}
	for _, f := range m.Small {
		if f.File != filepath.Base(f.File) {
			return nil, fmt.Errorf("%w: file name %q", state.ErrCorrupt, f.File)
		}
	}
	return m, nil
}

const (
	tableSuffix = ".sst"
	lockFile    = "LOCK"
)

// readFolder describes the database in dir, a checkpoint: its sorted tables, and
// the content of all other files.
func (m *manifest) readFolder(dir string, shared *Shared) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if filepath.Ext(name) == tableSuffix || name == lockFile {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		m.Small = append(m.Small, smallFile{name, data})
	}
	return m.readTables(dir, shared)
}

// readTables asks Pebble which key groups are in which file.
func (m *manifest) readTables(dir string, shared *Shared) (err error) {
	db, err := openReadOnly(dir, shared)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	levels, err := db.SSTables()
	if err != nil {
		return err
	}
	at := map[string]int{}
	for _, level := range levels {
		for _, t := range level {
			if err := m.addTable(dir, t, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// addTable adds a sorted table. Several may lie in one file.
func (m *manifest) addTable(dir string, t pebble.SSTableInfo, at map[string]int) error {
	lo, _, _, _, err := splitKey(t.Smallest.UserKey)
	if err != nil {
		return err
	}
	hi, _, _, _, err := splitKey(t.Largest.UserKey)
	if err != nil {
		return err
	}
	file := t.BackingSSTNum.String() + tableSuffix
	if i, ok := at[file]; ok {
		f := &m.Files[i]
		f.GroupLo, f.GroupHi = min(f.GroupLo, lo), max(f.GroupHi, hi)
		return nil
	}
	info, err := os.Stat(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	at[file] = len(m.Files)
	m.Files = append(m.Files, manifestFile{
		Name: m.Database + "/" + file, File: file, Size: info.Size(), GroupLo: lo, GroupHi: hi,
	})
	return nil
}

// openReadOnly opens the database in dir, of which sorted tables may be missing: who
// reads keys that they do not hold does not notice.
func openReadOnly(dir string, shared *Shared) (*pebble.DB, error) {
	o := options(shared, memtableMin, targetFileBytes)
	o.EventListener = &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}} // who reads is told too
	o.ReadOnly = true
	o.DisableConsistencyCheck = true
	return pebble.Open(dir, o)
}
