package lsm

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// targetFileBytes is the size of files on all levels: a restore with another
	// parallelism reads at most one too many at either end of its range and level.
	targetFileBytes = 8 << 20
	// bloomBits per key: 1 % of the reads of what is not there go to a block.
	bloomBits = 10
	// blockBytes is a compromise of reading little for one key and of an index that
	// stays in the block cache.
	blockBytes = 8 << 10
	// memtables is how many may exist at once: one that is filled, others flushed.
	memtables = 3
	// memtableMin and memtableMax bound the size of one. Pebble begins with
	// 256 KiB, so small stores take little whatever it is.
	memtableMin, memtableMax = 1 << 20, 64 << 20
	// l0Stop: reads that get slower are better than a task that stands still.
	l0Stop = 64
)

// options are Pebble's. memtable is the size of a memtable, file of a file.
func options(shared *Shared, memtable int, file int64) *pebble.Options {
	o := &pebble.Options{
		FormatMajorVersion:          pebble.FormatNewest,
		FS:                          unsynced{vfs.Default},
		Cache:                       shared.blocks,
		FileCache:                   shared.files,
		DisableWAL:                  true,
		MemTableSize:                uint64(memtable),
		MemTableStopWritesThreshold: memtables,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       l0Stop,
		LBaseMaxBytes:               64 << 20,
		CompactionConcurrencyRange:  func() (lower, upper int) { return 1, 1 },
		DisableTableStats:           true,
		MaxManifestFileSize:         1 << 20, // an image copies it
		Logger:                      silent{},
	}
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = file
	}
	o.TargetFileSizes[0] = file / 4 // of a flush, so that its files too hold few groups
	for i := range o.Levels {
		o.Levels[i] = pebble.LevelOptions{
			BlockSize:    blockBytes,
			FilterPolicy: bloom.FilterPolicy(bloomBits),
			FilterType:   pebble.TableFilter,
		}
	}
	return o
}

// listen tells the writer of what goes wrong in the background.
func listen(w *writer) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: w.background,
		DataCorruption:  func(info pebble.DataCorruptionInfo) { w.fail(info.Details) },
		FlushEnd:        func(info pebble.FlushInfo) { w.flushed(info.Err) },
	}
}

// unsynced is a file system that never syncs: what is in the folder is of no use
// after a crash of the machine, and after a crash of the process nobody reads it
// without checking a checksum.
type unsynced struct{ vfs.FS }

func (fs unsynced) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return wrap(fs.FS.Create(name, c))
}

func (fs unsynced) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return wrap(fs.FS.OpenReadWrite(name, c, opts...))
}

func (fs unsynced) OpenDir(name string) (vfs.File, error) { return wrap(fs.FS.OpenDir(name)) }

func (fs unsynced) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return wrap(fs.FS.ReuseForWrite(old, name, c))
}

func wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

type unsyncedFile struct{ vfs.File }

func (unsyncedFile) Sync() error                { return nil }
func (unsyncedFile) SyncData() error            { return nil }
func (unsyncedFile) SyncTo(int64) (bool, error) { return false, nil }

// silent drops what Pebble says: errors come back from calls, or as background
// errors.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}

// Fatalf is called where Pebble can not go on, after a failed write of its
// manifest for one, and must not return.
func (silent) Fatalf(format string, args ...any) {
	panic("lsm state: " + fmt.Sprintf(format, args...))
}
