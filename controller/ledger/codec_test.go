package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/ha"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// fill gives every field that it can reach a value of its own that is not zero.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		if v.Type() == reflect.TypeFor[*catalog.Catalog]() {
			v.Set(reflect.ValueOf(fullCatalog()))
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill(f, n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(fmt.Sprint("s", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(*n % 200))
	default:
		panic(fmt.Sprintf("fill %v: teach me", v.Type()))
	}
}

// fullCatalog has something in each of its parts.
func fullCatalog() *catalog.Catalog {
	c := catalog.New()
	for id := range dataflow.CheckpointID(2) {
		r := completion("j", 1, id+1, true)
		next, _, err := c.Complete(catalog.Record{ID: r.ID, Attempt: 1, Metadata: r.Metadata, Objects: r.Objects, Owed: id > 0}, nil, 1)
		if err != nil {
			panic(err)
		}
		c = next
	}
	c, err := c.Hold(2, "x")
	if err != nil {
		panic(err)
	}
	return c
}

// TestNoFieldIsLeftOut: what has a field that the encoding leaves out comes
// back with less.
func TestNoFieldIsLeftOut(t *testing.T) {
	for _, v := range []any{
		new(Worker), new(Member), new(Job), new(endedIncarnation), new(remembered), new(snapshotHead),
		new(Execution), new(Pending), new(CheckpointHistory), new(FailureRecord), new(Completed), new(CheckpointStats), new(Origin),
	} {
		n := 0
		fill(reflect.ValueOf(v).Elem(), &n)
		data, err := encMode.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		back := reflect.New(reflect.TypeOf(v).Elem())
		if err := decMode.Unmarshal(data, back.Interface()); err != nil {
			t.Fatalf("%T: %v", v, err)
		}
		if !reflect.DeepEqual(v, back.Interface()) {
			t.Errorf("%T: got %+v, want %+v", v, back.Interface(), v)
		}
	}
}

// TestNoPartOfTheStateIsLeftOut does the same for the whole.
func TestNoPartOfTheStateIsLeftOut(t *testing.T) {
	l := New(nil)
	n := 0
	fill(reflect.ValueOf(l.state).Elem(), &n)
	for _, m := range l.state.Members {
		l.state.Members = map[string]*Member{m.ID: m}
	}
	for _, w := range l.state.Workers {
		l.state.Workers = map[dataflow.WorkerID]*Worker{w.ID: w}
	}
	for _, j := range l.state.Jobs {
		l.state.Jobs = map[dataflow.JobID]*Job{j.ID: j}
	}
	l.state.ended.add(endedIncarnation{"w", "1"})
	l.state.keys.add(remembered{Key: "k", Checkpoint: 3})
	var b bytes.Buffer
	if err := l.state.persist(&b); err != nil {
		t.Fatal(err)
	}
	again := New(nil)
	if err := again.Restore(&b); err != nil {
		t.Fatal(err)
	}
	got, want := *again.state, *l.state
	for _, s := range []*State{&got, &want} {
		s.ended.name, s.keys.name = nil, nil // functions do not compare
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

// TestCommandsAreStable holds the log's format: what stands in a log must be
// read for ever. A change here is a new version.
func TestCommandsAreStable(t *testing.T) {
	const golden = "testdata/commands.golden"
	var b strings.Builder
	for k := range prototypes {
		c := newCommand(kind(k))
		if c == nil {
			continue
		}
		n := 0
		fill(reflect.ValueOf(c).Elem(), &n)
		data := Encode(c)
		fmt.Fprintf(&b, "%T %s\n", c, hex.EncodeToString(data))
		back, err := Decode(data)
		if err != nil || !reflect.DeepEqual(back, c) {
			t.Errorf("%T: got %+v %v, want %+v", c, back, err, c)
		}
	}
	if *rewrite {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("commands are encoded differently than before; got:\n%s", b.String())
	}
}

// TestOldCommandsAreReadAndWrittenAlike: what an older version could say is still said
// in its bytes, so that members of its build can be led.
func TestOldCommandsAreReadAndWrittenAlike(t *testing.T) {
	for _, file := range []string{"testdata/commands-v1.golden", "testdata/commands-v2.golden"} {
		lines, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(file, func(t *testing.T) { readAndWrittenAlike(t, string(lines)) })
	}
}

func readAndWrittenAlike(t *testing.T, lines string) {
	for line := range strings.Lines(lines) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		data, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Decode(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if again := Encode(c); !bytes.Equal(again, data) {
			t.Errorf("%s: got %x, want %x", name, again, data)
		}
	}
}

func TestWhatIsNotKnownStopsTheNode(t *testing.T) {
	good := Encode(&CancelJob{Header: Header{Term: 1}, Job: "j"})
	version, kindTooHigh, kindZero := bytes.Clone(good), bytes.Clone(good), bytes.Clone(good)
	version[2] = Version + 1
	kindTooHigh[0] = 0xff
	kindZero[1] = 0
	for name, data := range map[string][]byte{
		"nothing": {}, "short": good[:2], "version": version, "kind too high": kindTooHigh, "kind zero": kindZero,
	} {
		if _, err := New(nil).Apply(ha.Entry{Term: 1, Data: data}); !errors.Is(err, ErrUnknownCommand) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	extra, err := cbor.Marshal(map[int]any{2: "j", 99: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{"unknown field": extra, "cut": good[prefixLen : len(good)-1], "more": append(bytes.Clone(good[prefixLen:]), 1)} {
		if _, err := New(nil).Apply(ha.Entry{Term: 1, Data: append(bytes.Clone(good[:prefixLen]), body...)}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTextThatIsNotUTF8IsHarmless(t *testing.T) {
	w := setup(t)
	w.submit("j")
	w.ok(&FailAttempt{Job: "j", Reason: "bad \xff byte", Final: true})
	if r := w.job("j").Reason; r != "bad \uFFFD byte" {
		t.Fatalf("reason %q", r)
	}
	w.ok(&SubmitJob{Job: "k", Args: []string{"\xff"}})
	w.restart()
}

func TestRestoreIsAtomic(t *testing.T) {
	w := setup(t)
	w.submit("j")
	w.checkpoint("j", w.run("j"), "periodic", true)
	image := w.snapshot()
	for n := range image { // cut anywhere
		if err := w.ledger.Restore(bytes.NewReader(image[:n])); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	if err := w.ledger.Restore(bytes.NewReader(append(bytes.Clone(image), 0))); !errors.Is(err, ErrSnapshot) {
		t.Fatalf("more than a snapshot: %v", err)
	}
	if !bytes.Equal(image, w.snapshot()) {
		t.Fatal("a failed restore changed the state")
	}
	future := bytes.Replace(bytes.Clone(image), []byte(snapshotMagic+"\x02\x01"), []byte(snapshotMagic+"\x02\x02"), 1)
	if err := w.ledger.Restore(bytes.NewReader(future)); bytes.Equal(future, image) || !errors.Is(err, ErrSnapshot) {
		t.Fatalf("another format: %v", err)
	}
}

// TestSnapshotsAreFrozen: what is applied after Snapshot is not in it.
func TestSnapshotsAreFrozen(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	before := w.snapshot()
	persist, err := w.ledger.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	var b bytes.Buffer
	go func() { done <- persist(&b) }()
	for range 20 {
		w.checkpoint("j", a, "periodic", false)
		w.ok(&EndWorker{Worker: "x", Incarnation: dataflow.Incarnation(fmt.Sprint(len(w.log)))})
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, b.Bytes()) {
		t.Fatal("the snapshot saw what came after it")
	}
}

// TestReadersNeedNoLock is for the race detector: a job that was taken out of a
// view is read while entries are applied.
func TestReadersNeedNoLock(t *testing.T) {
	w := setup(t)
	w.submit("j")
	a := w.run("j")
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		var err error
		for err == nil {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			var j *Job
			w.ledger.View(func(s *State) { j = s.Jobs["j"] })
			_, err = encMode.Marshal(j)
		}
		done <- err
	}()
	for range 100 {
		w.checkpoint("j", a, "periodic", false)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
