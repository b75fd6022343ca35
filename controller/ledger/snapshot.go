package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/cairnstream/cairn/dataflow"
)

// ErrSnapshot is returned by Restore for a stream that is no snapshot of this
// build's format, or is damaged.
var ErrSnapshot = errors.New("bad ledger snapshot")

// snapshotFormat is the version of the stream below.
const snapshotFormat = 1

// snapshotHead opens a snapshot. A snapshot is a sequence of deterministic CBOR
// items: the head, then as many members, workers, ended incarnations, jobs and
// keys as it says, each section in the order of its ids or of arrival.
type snapshotHead struct {
	Magic       string        `cbor:"1,keyasint"`
	Format      int           `cbor:"2,keyasint"`
	Cluster     string        `cbor:"3,keyasint"`
	ObjectStore string        `cbor:"4,keyasint"`
	Leader      string        `cbor:"5,keyasint"`
	Term        dataflow.Term `cbor:"6,keyasint"`
	Index       uint64        `cbor:"7,keyasint"`
	Now         int64         `cbor:"8,keyasint"`
	Members     int           `cbor:"9,keyasint"`
	Workers     int           `cbor:"10,keyasint"`
	Ended       int           `cbor:"11,keyasint"`
	Jobs        int           `cbor:"12,keyasint"`
	Keys        int           `cbor:"13,keyasint"`
}

const snapshotMagic = "cairn-ledger"

// Snapshot freezes the state, which costs a pointer per job and worker. The
// returned function may run beside Apply.
func (l *Ledger) Snapshot() (persist func(w io.Writer) error, err error) {
	l.mu.RLock()
	frozen := l.state.freeze()
	l.mu.RUnlock()
	return frozen.persist, nil
}

func (s *State) head() snapshotHead {
	return snapshotHead{
		Magic: snapshotMagic, Format: snapshotFormat,
		Cluster: s.Cluster, ObjectStore: s.ObjectStore, Leader: s.Leader,
		Term: s.Term, Index: s.Index, Now: s.Now,
		Members: len(s.Members), Workers: len(s.Workers), Ended: len(s.ended.list),
		Jobs: len(s.Jobs), Keys: len(s.keys.list),
	}
}

func (s *State) persist(w io.Writer) error {
	out := bufio.NewWriter(w)
	e := encMode.NewEncoder(out)
	err := errors.Join(
		e.Encode(s.head()),
		writeMap(e, s.Members), writeMap(e, s.Workers), writeList(e, s.ended.list),
		writeMap(e, s.Jobs), writeList(e, s.keys.list),
		out.Flush(),
	)
	if err != nil {
		return fmt.Errorf("write ledger snapshot: %w", err)
	}
	return nil
}

func writeMap[K ~string, V any](e *cbor.Encoder, m map[K]V) error {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if err := e.Encode(m[k]); err != nil {
			return err
		}
	}
	return nil
}

func writeList[V any](e *cbor.Encoder, list []V) error {
	for _, v := range list {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// Restore replaces the state by a snapshot's. If it fails, the state is as it was.
func (l *Ledger) Restore(r io.Reader) error {
	s, err := readState(decMode.NewDecoder(bufio.NewReader(r)))
	if err != nil {
		return fmt.Errorf("restore ledger: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = s
	return nil
}

func readState(d *cbor.Decoder) (*State, error) {
	var h snapshotHead
	if err := d.Decode(&h); err != nil {
		return nil, fmt.Errorf("%w: head: %w", ErrSnapshot, err)
	}
	if h.Magic != snapshotMagic || h.Format != snapshotFormat {
		return nil, fmt.Errorf("%w: %q format %d", ErrSnapshot, h.Magic, h.Format)
	}
	s := newState()
	s.Cluster, s.ObjectStore, s.Leader = h.Cluster, h.ObjectStore, h.Leader
	s.Term, s.Index, s.Now = h.Term, h.Index, h.Now
	sections := []func() error{
		func() error {
			return read(d, "member", h.Members, func(m *Member) { s.Members[m.ID] = m })
		},
		func() error {
			return read(d, "worker", h.Workers, func(w *Worker) { s.Workers[w.ID] = w })
		},
		func() error {
			return read(d, "ended incarnation", h.Ended, func(e *endedIncarnation) { s.ended.add(*e) })
		},
		func() error { return read(d, "job", h.Jobs, func(j *Job) { s.Jobs[j.ID] = j }) },
		func() error { return read(d, "key", h.Keys, func(k *remembered) { s.keys.add(*k) }) },
	}
	for _, section := range sections {
		if err := section(); err != nil {
			return nil, err
		}
	}
	return s, s.checkRestored(d, h)
}

// read decodes a section of count items.
func read[T any](d *cbor.Decoder, what string, count int, add func(*T)) error {
	for i := range count {
		v := new(T)
		if err := d.Decode(v); err != nil {
			return fmt.Errorf("%w: %s %d of %d: %w", ErrSnapshot, what, i, count, err)
		}
		add(v)
	}
	return nil
}

// checkRestored tells whether the stream was what its head said.
func (s *State) checkRestored(d *cbor.Decoder, h snapshotHead) error {
	if got := s.head(); got != h {
		return fmt.Errorf("%w: something is in it twice", ErrSnapshot)
	}
	for id, j := range s.Jobs {
		if j.Catalog == nil {
			return fmt.Errorf("%w: job %s has no catalog", ErrSnapshot, id)
		}
	}
	for _, k := range s.keys.list {
		if k.Refusal < 0 || k.Refusal >= len(refusals) || k.Job != "" && s.Jobs[k.Job] == nil {
			return fmt.Errorf("%w: key %q names what is not there", ErrSnapshot, k.Key)
		}
	}
	var more cbor.RawMessage
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it goes on after its end", ErrSnapshot)
	}
	return nil
}
