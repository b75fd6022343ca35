package savepoint

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// ErrNotAligned is returned for a checkpoint that holds more than state: records in flight.
var ErrNotAligned = errors.New("the checkpoint holds records in flight: a savepoint is written of an aligned one")

// WriteConfig says what is written, and where.
type WriteConfig struct {
	// Bucket has the checkpoint's objects, and Metadata is the checkpoint's. It is only read.
	Bucket   objectstore.Bucket
	Metadata *checkpointstore.Metadata
	// To and Folder are where the savepoint goes. Folder is empty or ends in '/'; nothing else
	// is in it.
	To     objectstore.Bucket
	Folder string
	// TempDir is where scratch folders are made and removed again. Default: the system's.
	TempDir string
	// MemoryBytes is about how much memory is taken. Default DefaultMemoryBytes. A
	// key group of one state must fit in half of it.
	MemoryBytes int64
	// Progress, if not nil, is told how many of the bytes of live keyed state are written.
	// Calls come one at a time and must not block.
	Progress func(done, total int64)
}

const (
	// DefaultMemoryBytes is small beside what a worker has, and gives files of 16 MiB.
	DefaultMemoryBytes = 256 << 20
	// putsAtOnce is how many files are uploaded while the next is made.
	putsAtOnce = 4
)

// Written is what Write has written.
type Written struct {
	// Metadata is the metadata object: without it there is no savepoint.
	Metadata catalog.Object
	Files    int
	Rows     int64
	Bytes    int64 // of all files and the metadata object
}

// Write writes a canonical savepoint of a completed checkpoint. When it returns nil the folder
// is whole and durable: the metadata object is written last. A folder in which an earlier try
// was broken off must not be used again. Errors name the operator and the state.
func Write(ctx context.Context, cfg WriteConfig) (Written, error) {
	cfg.MemoryBytes = cmp.Or(cfg.MemoryBytes, DefaultMemoryBytes)
	w := &writer{cfg: cfg, folder: &checkpointstore.Folder{Files: []checkpointstore.FolderFile{}}}
	out, err := w.write(ctx)
	if err != nil {
		return Written{}, fmt.Errorf("write savepoint of checkpoint %d to %s: %w", cfg.Metadata.Checkpoint, cfg.Folder, err)
	}
	return out, nil
}

// writer writes one savepoint. One goroutine makes the files, others upload them.
type writer struct {
	cfg   WriteConfig
	names names
	puts  *errgroup.Group
	total int64 // live bytes

	mu     sync.Mutex // guards what follows
	folder *checkpointstore.Folder
	done   int64 // live bytes, of files that are made
}

func (w *writer) write(ctx context.Context) (Written, error) {
	if err := w.check(); err != nil {
		return Written{}, err
	}
	m := *w.cfg.Metadata
	operators := operatorsOf(m.Processes)
	for _, o := range operators {
		for _, p := range o.parts {
			if p.Keyed != nil {
				w.total += p.Keyed.Bytes
			}
		}
	}
	var inner context.Context
	w.puts, inner = errgroup.WithContext(ctx)
	w.puts.SetLimit(putsAtOnce)
	err := w.operators(inner, operators)
	if perr := w.puts.Wait(); perr != nil {
		err = perr // it ended the others
	}
	if err := cmp.Or(err, context.Cause(ctx)); err != nil {
		return Written{}, err
	}
	m.Processes = processesOf(m.Processes, operators)
	return w.finish(ctx, &m)
}

// check refuses what can not be written.
func (w *writer) check() error {
	switch m := w.cfg.Metadata; {
	case m.Folder != nil:
		return errors.New("it is a canonical savepoint already: copy its folder")
	case m.Format > checkpointstore.Format, snapshot.HasInFlight(m.Processes):
		return ErrNotAligned
	case w.cfg.Folder != "" && !strings.HasSuffix(w.cfg.Folder, "/"):
		return fmt.Errorf("folder %q does not end in '/'", w.cfg.Folder)
	}
	return nil
}

func (w *writer) operators(ctx context.Context, operators []*operator) error {
	for _, o := range operators {
		folder := w.names.folder(o.uid)
		if err := w.keyed(ctx, o, folder); err != nil {
			return fmt.Errorf("operator %q: %w", o.uid, err)
		}
		if err := w.items(ctx, o, folder); err != nil {
			return fmt.Errorf("operator %q: %w", o.uid, err)
		}
	}
	return nil
}

// put begins the upload of a file. Its facts but for size and checksum are known.
func (w *writer) put(ctx context.Context, f checkpointstore.FolderFile, data []byte) checkpointstore.FolderFile {
	f.Size, f.CRC32C = int64(len(data)), objectstore.CRC32C(data)
	w.mu.Lock()
	w.folder.Files = append(w.folder.Files, f)
	w.folder.Rows += f.Rows
	w.folder.Bytes += f.Size
	w.mu.Unlock()
	w.puts.Go(func() error {
		if err := w.cfg.To.Put(ctx, w.cfg.Folder+f.Name, data, objectstore.PutOptions{IfAbsent: true}); err != nil {
			return fmt.Errorf("operator %q: %s %q: put %s: %w", f.Operator, f.Kind, f.State, w.cfg.Folder+f.Name, err)
		}
		return nil
	})
	return f
}

// tell counts live bytes that are in files.
func (w *writer) tell(n int64) {
	if w.done += n; w.cfg.Progress != nil {
		w.cfg.Progress(min(w.done, w.total), w.total)
	}
}

// finish writes the metadata object. All files are durable.
func (w *writer) finish(ctx context.Context, m *checkpointstore.Metadata) (Written, error) {
	slices.SortFunc(w.folder.Files, func(a, b checkpointstore.FolderFile) int { return strings.Compare(a.Name, b.Name) })
	m.Folder, m.Format = w.folder, checkpointstore.FormatFolder
	data, err := checkpointstore.Encode(m)
	if err != nil {
		return Written{}, err
	}
	key := w.cfg.Folder + checkpointstore.SavepointMetadata
	if err := w.cfg.To.Put(ctx, key, data, objectstore.PutOptions{IfAbsent: true}); err != nil {
		return Written{}, fmt.Errorf("put %s: %w", key, err)
	}
	sum := sha256.Sum256(data)
	return Written{
		Metadata: catalog.Object{Key: key, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])},
		Files:    len(w.folder.Files), Rows: w.folder.Rows, Bytes: w.folder.Bytes + int64(len(data)),
	}, nil
}

// operator is what a checkpoint has of one operator.
type operator struct {
	uid   dataflow.UID
	parts []*snapshot.Operator // of the subtasks, in their order; they are the savepoint's own
	at    []place
}

// place is where an operator's part is in the metadata.
type place struct{ process, subtask, operator int }

// operatorsOf sorts a checkpoint by operator, in the order of the graph's vertices.
func operatorsOf(processes []snapshot.Process) []*operator {
	type located struct {
		task dataflow.TaskID
		at   place
	}
	var all []located
	for i, p := range processes {
		for j, t := range p.Subtasks {
			for k := range t.Operators {
				all = append(all, located{t.Task, place{i, j, k}})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b located) int { return a.task.Compare(b.task) })
	var out []*operator
	byUID := map[dataflow.UID]*operator{}
	for _, l := range all {
		part := processes[l.at.process].Subtasks[l.at.subtask].Operators[l.at.operator]
		o := byUID[part.UID]
		if o == nil {
			o = &operator{uid: part.UID}
			byUID[part.UID], out = o, append(out, o)
		}
		o.parts, o.at = append(o.parts, &part), append(o.at, l.at)
	}
	return out
}

// processesOf are the processes with the operators' parts as the savepoint has them, and
// without what is about the cluster's objects.
func processesOf(processes []snapshot.Process, operators []*operator) []snapshot.Process {
	out := make([]snapshot.Process, len(processes))
	for i, p := range processes {
		out[i].Process = p.Process
		for _, t := range p.Subtasks {
			out[i].Subtasks = append(out[i].Subtasks, snapshot.Subtask{Task: t.Task, Operators: slices.Clone(t.Operators)})
		}
	}
	for _, o := range operators {
		for i, at := range o.at {
			out[at.process].Subtasks[at.subtask].Operators[at.operator] = *o.parts[i]
		}
	}
	return out
}
