package changelog

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

func TestLiveCountsTheGroupsThatAreAskedFor(t *testing.T) {
	handles := []snapshot.Keyed{{GroupLo: 0, GroupHi: 9, Entries: 1000}, {GroupLo: 10, GroupHi: 19, Entries: 500}}
	for _, c := range []struct {
		lo, hi int
		want   int64
	}{{0, 19, 1500}, {0, 4, 500}, {5, 14, 750}, {19, 19, 50}, {20, 30, 0}} {
		if got := live(handles, c.lo, c.hi); got != c.want {
			t.Errorf("groups %d to %d: %d, want %d", c.lo, c.hi, got, c.want)
		}
	}
}

// batches is a BatchLoader that keeps what it is told, in order.
type batches struct {
	told []string
	err  error // of LoadEntries
}

func (b *batches) Register(d state.Definition) (state.Handle, error) {
	b.told = append(b.told, "register "+d.Name)
	return state.Handle(len(b.told)), nil
}

func (b *batches) Expect(_ state.Handle, entries int64) {
	b.told = append(b.told, fmt.Sprintf("expect %d", entries))
}

func (b *batches) Load(e state.Entry) error {
	b.told = append(b.told, fmt.Sprintf("load %s", e.Key))
	return nil
}

func (b *batches) LoadEntries(entries []state.Entry) error {
	b.told = append(b.told, fmt.Sprintf("load %d from %s", len(entries), entries[0].Key))
	return b.err
}

func (b *batches) LoadRecords(state.Records, int, []byte) error { return nil }

// entriesOf returns a segment's frame with entries of the states that handles names.
func entriesOf(handles ...state.Handle) frame {
	f := frame{content: contentChanges}
	for h := range state.Handle(2) {
		f.defs = append(f.defs, definition{handle: h, name: fmt.Sprint("s", h), kind: "value", schema: "bytes"})
	}
	for i, h := range handles {
		f.body = state.AppendEntry(f.body, state.Entry{Handle: h, Group: 1, Key: fmt.Append(nil, i), Value: []byte("v")})
	}
	return f
}

func loadBatches(t *testing.T, states []snapshot.State, into *batches, f frame) error {
	t.Helper()
	to := newTarget(Target{Handles: []snapshot.Keyed{{GroupLo: 0, GroupHi: 3, Entries: 400, States: states}}, GroupLo: 0, GroupHi: 1, Into: into})
	n, err := to.load(snapshot.Segment{Base: true, GroupLo: 0, GroupHi: 3}, f)
	if err == nil && n == 0 {
		t.Error("loaded nothing")
	}
	return err
}

// TestEntriesAreLoadedInBatches that end with the segment, when they are full and before a state
// is registered.
func TestEntriesAreLoadedInBatches(t *testing.T) {
	var into batches
	handles := make([]state.Handle, batchMax+7)
	handles[batchMax+5] = 1
	states := []snapshot.State{{Name: "s0", Kind: "value", Schema: "bytes"}, {Name: "s1", Kind: "value", Schema: "bytes"}}
	if err := loadBatches(t, states, &into, entriesOf(handles...)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"register s0", fmt.Sprintf("load %d from 0", batchMax), fmt.Sprintf("load 5 from %d", batchMax), "register s1", fmt.Sprintf("load 2 from %d", batchMax+5),
	}
	if !reflect.DeepEqual(into.told, want) {
		t.Errorf("told %q, want %q", into.told, want)
	}
}

// TestOnlyStateIsExpected: of several states nobody knows how many entries each has.
func TestOnlyStateIsExpected(t *testing.T) {
	var into batches
	if err := loadBatches(t, []snapshot.State{{Name: "s0", Kind: "value", Schema: "bytes"}}, &into, entriesOf(0)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"register s0", "expect 200", "load 1 from 0"}; !reflect.DeepEqual(into.told, want) {
		t.Errorf("told %q, want %q", into.told, want)
	}
}

func TestErrorOfABatchFailsTheLoad(t *testing.T) {
	into := batches{err: errors.New("full")}
	if err := loadBatches(t, nil, &into, entriesOf(0, 0)); !errors.Is(err, into.err) {
		t.Errorf("%v, want %v", err, into.err)
	}
}

// TestConvertedEntriesKeepTheirPlace: a value that is converted is loaded at once, behind those
// before it.
func TestConvertedEntriesKeepTheirPlace(t *testing.T) {
	var into batches
	b := batch{into: &into, many: &into}
	for i, one := range []bool{false, false, true, false} {
		if err := b.add(state.Entry{Key: fmt.Append(nil, i)}, one); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.flush(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"load 2 from 0", "load 2", "load 1 from 3"}; !reflect.DeepEqual(into.told, want) {
		t.Errorf("told %q, want %q", into.told, want)
	}
}
