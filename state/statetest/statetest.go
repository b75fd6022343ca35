// Package statetest is the suite that every state backend must pass: its
// contract in small, and random programs of changes, checkpoints, images and
// restores, with another parallelism, another schema, a store that fails and local
// copies that are damaged, against a plain map.
//
// A package that calls Run has two flags more, and so runs as many programs as one
// has patience for, or one of them again:
//
//	go test -race ./state/memory -run TestConformance/random -programs 1000
//	go test ./state/memory -run TestConformance/random -programs 1 -seed 17
package statetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/changelog"
)

// Store is what a backend's store must be: one that a restore can fill.
type Store interface {
	state.Store
	changelog.Loader
}

// Open makes an empty store of a backend for a range of key groups; log may be
// nil.
type Open func(groupLo, groupHi int, log state.Log) (Store, error)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"register":                       testRegister,
		"get what was put":               testGetPut,
		"keys and states are apart":      testApart,
		"scan in order of sub-keys":      testScanOrder,
		"scan sees changes":              testScanSeesChanges,
		"large values":                   testLargeValues,
		"one log entry per changed one":  testBatchIsDeduplicated,
		"delete then put in one batch":   testDeleteThenPut,
		"size":                           testSize,
		"values change size":             testValuesChangeSize,
		"update in place":                testUpdate,
		"update changes the size":        testUpdateResizes,
		"put what get returned":          testPutOfWhatGetReturned,
		"sweep visits all":               testSweepVisitsAll,
		"prefetch":                       testPrefetch,
		"update of a batch":              testUpdateBatch,
		"update of an empty batch":       testUpdateBatchOfNothing,
		"image while the store goes on":  testImage,
		"image that nobody reads":        testImageIsClosedUnread,
		"load does not log":              testLoad,
		"load records":                   testLoadRecords,
		"the schema changes":             testSchemaChanges,
		"timers fire in order":           testTimersInOrder,
		"timers can be deleted":          testTimersDeleted,
		"a timer may set a timer":        testTimerSetsTimer,
		"timers are found again":         testTimersRestored,
		"many deleted timers":            testManyDeletedTimers,
		"typed handles":                  testTypedHandles,
		"typed handles refuse bad bytes": testBadBytes,
		"random programs":                testPrograms,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// groups is the number of key groups in the suite's stores.
const groups = 32

func setup(t *testing.T, open Open) (Store, *recorder) {
	t.Helper()
	log := &recorder{}
	s, err := open(0, groups-1, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, log
}

func register(t *testing.T, s state.Store, name string) state.Handle {
	t.Helper()
	h, err := s.Register(state.Definition{Name: name, Kind: "map", Schema: "bytes", SubSize: state.Variable, ValueSize: state.Variable})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// recorder is a log that keeps what it gets.
type recorder struct {
	defined []string
	entries []state.Entry
	want    bool // an image, once
	drop    bool // and not read it
	dropped int

	done     chan struct{} // closed when the image is written; then:
	image    []state.Block
	imageErr error
	fuzzy    bool
}

func (r *recorder) Define(h state.Handle, d state.Definition) {
	r.defined = append(r.defined, fmt.Sprintf("%d %s %s %s", h, d.Name, d.Kind, d.Schema))
}

func (r *recorder) Append(block []byte, entries int) []byte {
	got := decodeEntries(bytes.Clone(block))
	if len(got) != entries {
		panic(fmt.Sprintf("block of %d entries is said to have %d", len(got), entries))
	}
	r.entries = append(r.entries, got...)
	return nil
}

func (r *recorder) WantsImage(int64) bool {
	want := r.want
	r.want = false
	return want
}

// Image writes the image beside the store, as a real log does.
func (r *recorder) Image(i state.Image) {
	if r.drop {
		r.dropped++
		i.Close()
		return
	}
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		defer i.Close()
		r.imageErr = i.Write(context.Background(), func(b state.Block) error {
			r.image = append(r.image, b)
			return nil
		})
		r.fuzzy = i.Fuzzy()
	}()
}

// imageDone tells whether the image is written.
func (r *recorder) imageDone() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// take returns the entries so far, as text, and forgets them.
func (r *recorder) take() []string {
	var out []string
	for _, e := range r.entries {
		out = append(out, describe(e))
	}
	r.entries = nil
	slices.Sort(out)
	return out
}

func describe(e state.Entry) string {
	if e.Deleted {
		return fmt.Sprintf("%d/%s/%s deleted", e.Handle, e.Key, e.Sub)
	}
	return fmt.Sprintf("%d/%s/%s=%s", e.Handle, e.Key, e.Sub, e.Value)
}

func decodeEntries(b []byte) (out []state.Entry) {
	for len(b) > 0 {
		e, n, err := state.ReadEntry(b)
		if err != nil {
			panic(err)
		}
		out = append(out, e)
		b = b[n:]
	}
	return out
}

func scan(s state.Store, h state.Handle) []string {
	var out []string
	s.Scan(h, func(sub, value []byte) bool {
		out = append(out, fmt.Sprintf("%s=%s", sub, value))
		return true
	})
	return out
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}
