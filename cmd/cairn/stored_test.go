//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/claim"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/inspect/inspecttest"
	"github.com/cairnstream/cairn/wire"
)

const cluster = "c0ffee00c0ffee00"

// carrier is what the job of the scripts keeps for each carrier.
type carrier struct {
	Flights int64
	Worst   string
}

// written is a folder with the checkpoints 40 and 41 of the running job.
type written struct {
	t      *testing.T
	bucket *file.Bucket
	store  *checkpointstore.Store
	count  *inspecttest.Process
	keys   codec.Codec[string]
	totals []*state.Value[carrier]
	days   []*state.Map[string, int64]
	recent []*state.Value[bool]
}

// writeBucket writes a bucket for the scripts to look into and returns its folder.
func writeBucket(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bucket")
	w := &written{t: t}
	var err error
	if w.bucket, err = file.Open(dir, file.Options{Create: true}); err != nil {
		t.Fatal(err)
	}
	if err := claim.Claim(t.Context(), w.bucket, claim.Fingerprint{Cluster: cluster, Created: time.UnixMilli(begun)}, claim.Options{}); err != nil {
		t.Fatal(err)
	}
	w.store = checkpointstore.New(w.bucket, cluster)
	w.open()
	for i, name := range []string{"AA", "DL", "UA", "B6"} {
		w.set(name, carrier{int64(100 * (i + 1)), name + "-9"}, map[string]int64{"2013-01-01": int64(i), "2013-01-02": 7})
	}
	w.checkpoint(40)
	w.set("AA", carrier{150, "AA-1"}, map[string]int64{"2013-01-03": 1})
	w.set("WN", carrier{5, "WN-2"}, nil)
	w.days[w.key("DL")].Delete("2013-01-02")
	w.checkpoint(41)
	return dir
}

func (w *written) open() {
	w.t.Helper()
	var err error
	if w.keys, err = codec.Key[string](); err != nil {
		w.t.Fatal(err)
	}
	w.count = inspecttest.Start(w.t, inspecttest.Config{
		Bucket: w.bucket, Prefix: checkpointstore.RunPrefix(cluster, running, 2, "aaaaaaaaaaaaaaa1"), UID: "count",
		KeySchema: w.keys.Schema(), KeyGroups: 16, Parallelism: 2,
	})
	for _, s := range w.count.Stores() {
		lives := state.NewLifetimes(s, func() int64 { return begun })
		totals, err1 := state.NewValue[carrier](s, "total")
		days, err2 := state.NewMap[string, int64](s, "by day")
		recent, err3 := state.NewValue[bool](s, "recent", state.WithTTL(lives, state.TTL{After: 24 * time.Hour}))
		for _, err := range []error{err1, err2, err3} {
			if err != nil {
				w.t.Fatal(err)
			}
		}
		w.totals, w.days, w.recent = append(w.totals, totals), append(w.days, days), append(w.recent, recent)
	}
}

// key chooses a carrier and returns its subtask.
func (w *written) key(name string) int { return w.count.SetKey(w.keys.Append(nil, &name)) }

func (w *written) set(name string, total carrier, days map[string]int64) {
	w.t.Helper()
	i := w.key(name)
	err := w.totals[i].Set(total)
	for day, n := range days {
		if err == nil {
			err = w.days[i].Put(day, n)
		}
	}
	if err == nil && name == "AA" {
		err = w.recent[i].Set(true)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// checkpoint takes a checkpoint of the count, and of a source with two splits.
func (w *written) checkpoint(id dataflow.CheckpointID) {
	w.t.Helper()
	p := w.count.Checkpoint(id)
	p.Process = "aaaaaaaaaaaaaaa1"
	p.Subtasks = append(p.Subtasks, snapshot.Subtask{Operators: []snapshot.Operator{{
		UID: "read", Lists: map[string][][]byte{"splits": {[]byte("a.csv 100"), fmt.Appendf(nil, "b.csv %d", id)}},
	}}})
	m := &checkpointstore.Metadata{
		Job: running, JobName: "flights", Attempt: 2, Checkpoint: id, BegunAt: time.UnixMilli(begun), Trigger: "periodic",
		Graph: json.RawMessage(`{}`), KeyGroups: 16, Processes: []snapshot.Process{p},
	}
	if _, err := w.store.Write(w.t.Context(), m, 4); err != nil {
		w.t.Fatal(err)
	}
}

// copyBucket gives a script a copy of the bucket, below $WORK/bucket, and makes its
// fake cluster name it, with its checkpoints.
func copyBucket(template string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, _ []string) {
		dir := ts.MkAbs("bucket")
		ts.Check(os.RemoveAll(dir)) // an earlier copy
		ts.Check(os.CopyFS(dir, os.DirFS(template)))
		address := (&url.URL{Scheme: "file", Path: dir}).String()
		ts.Setenv("BUCKET", address)
		b, err := file.Open(dir, file.Options{})
		ts.Check(err)
		found, err := checkpointstore.New(b, cluster).Find(context.Background(), running)
		ts.Check(err)
		list := &wire.ListCheckpointsResponse{Checkpoints: []*wire.CheckpointView{{Id: 42, Status: "pending"}}}
		for i := len(found) - 1; i >= 0; i-- {
			f := found[i]
			list.Checkpoints = append(list.Checkpoints, &wire.CheckpointView{
				Id: uint64(f.Checkpoint), Status: "completed", Restorable: true, MetadataKey: f.Key, MetadataSize: f.Size,
			})
		}
		set(ts, func(f *fakeCluster) { f.canned.checkpoints, f.canned.status.ObjectStore = list, address })
	}
}

// damage flips a bit of the only object whose name begins with a word, at a byte.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: damage PART-OF-NAME BYTE")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	name := objectNamed(ts, args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	data[at] ^= 1
	ts.Check(os.WriteFile(name, data, 0o644))
}

// lose removes the only object whose name begins with a word.
func lose(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.Remove(objectNamed(ts, args[0])))
}

func objectNamed(ts *testscript.TestScript, word string) string {
	b, err := file.Open(ts.MkAbs("bucket"), file.Options{})
	ts.Check(err)
	var names []string
	ts.Check(b.List(context.Background(), "", func(i objectstore.Info) error {
		if strings.HasPrefix(path.Base(i.Key), word) {
			names = append(names, i.Key)
		}
		return nil
	}))
	if len(names) != 1 {
		ts.Fatalf("objects whose name begins with %q: %q, want one", word, names)
	}
	return filepath.Join(ts.MkAbs("bucket"), names[0])
}
