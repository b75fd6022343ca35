package filesink_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/connectortest"
	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/snapshot"
)

type record struct {
	Subtask int    `json:"subtask" csv:"subtask" parquet:"subtask"`
	N       int    `json:"n" csv:"n" parquet:"n"`
	Text    string `json:"text" csv:"text" parquet:"text"`
}

func makeRecord(subtask, n int) record {
	return record{subtask, n, strings.Repeat("x", n%17) + `,"` + "\n<&>"}
}

func memBucket(*testing.T) objectstore.Bucket { return mem.New() }

func fileBucket(t *testing.T) objectstore.Bucket {
	b, err := file.Open(t.TempDir(), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// config is the suite's, for a sink that make makes and decode reads.
func config(make func() *filesink.Sink[record], bucket func(*testing.T) objectstore.Bucket, decode func([]byte) ([]record, error)) connectortest.SinkConfig[record] {
	return connectortest.SinkConfig[record]{
		New: func() connectortest.TransactionalSink[record] {
			s := make()
			s.PartBytes = 600 // so that parts roll
			return s
		},
		Bucket: bucket,
		Record: makeRecord,
		Read: func(ctx context.Context, b objectstore.Bucket, env connector.Env, subtask int) ([]record, error) {
			return readSubtask(ctx, b, env, subtask, decode)
		},
		Leftovers: staged,
	}
}

func readSubtask(ctx context.Context, b objectstore.Bucket, env connector.Env, subtask int, decode func([]byte) ([]record, error)) ([]record, error) {
	var all []record
	err := filesink.ReadCommitted(ctx, b, env.Job, env.UID, func(p filesink.Part, r io.Reader) error {
		data, err := io.ReadAll(r)
		if err != nil || p.Subtask != subtask {
			return err
		}
		records, err := decode(data)
		all = append(all, records...)
		return err
	})
	return all, err
}

func staged(ctx context.Context, b objectstore.Bucket) (keys []string, err error) {
	err = b.List(ctx, "_staging/", func(o objectstore.Info) error {
		keys = append(keys, o.Key)
		return nil
	})
	return keys, err
}

func decodeJSON(data []byte) (all []record, err error) {
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func TestExactlyOnceInMemory(t *testing.T) {
	connectortest.Sink(t, config(func() *filesink.Sink[record] { return filesink.JSONLines[record]("mem://x") }, memBucket, decodeJSON))
}

func TestExactlyOnceInAFolder(t *testing.T) {
	c := config(func() *filesink.Sink[record] { return filesink.JSONLines[record]("file:///x") }, fileBucket, decodeJSON)
	c.Runs = 5 // each syncs a disk many times
	connectortest.Sink(t, c)
}

func TestExactlyOnceCSV(t *testing.T) {
	c := config(func() *filesink.Sink[record] { return filesink.CSV[record]("mem://x") }, memBucket, decodeCSV)
	c.Runs = 10
	connectortest.Sink(t, c)
}

func TestExactlyOnceParquet(t *testing.T) {
	c := config(func() *filesink.Sink[record] { return filesink.Parquet[record]("mem://x") }, memBucket, decodeParquet)
	c.Runs = 3
	connectortest.Sink(t, c)
}

// prepare writes records 0 to n-1 of subtask 0 and prepares checkpoint 1.
func prepare(t *testing.T, s *filesink.Sink[record], env connector.Env, n int) []snapshot.Transaction {
	t.Helper()
	w, err := s.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	var values []record
	for i := range n {
		values = append(values, makeRecord(0, i))
	}
	if err := w.Write(values, make([]int64, n)); err != nil {
		t.Fatal(err)
	}
	finish, err := w.Prepare(1)
	if err != nil {
		t.Fatal(err)
	}
	if finish == nil {
		return nil
	}
	payloads, err := finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var txns []snapshot.Transaction
	for _, p := range payloads {
		txns = append(txns, snapshot.Transaction{Checkpoint: 1, Attempt: env.Attempt, Payload: p})
	}
	return txns
}

func TestNothingWrittenStagesNothing(t *testing.T) {
	b := mem.New()
	if txns := prepare(t, filesink.JSONLines[record]("mem://x"), connectortest.Env(b), 0); txns != nil {
		t.Errorf("transactions: %v", txns)
	}
	if keys, err := staged(t.Context(), b); err != nil || len(keys) > 0 {
		t.Errorf("staged %v, %v", keys, err)
	}
}

func TestPartsRoll(t *testing.T) {
	b := mem.New()
	s := filesink.JSONLines[record]("mem://x")
	s.PartBytes = 1000
	env := connectortest.Env(b)
	txns := prepare(t, s, env, 100)
	if err := s.Commit(t.Context(), env, txns); err != nil {
		t.Fatal(err)
	}
	parts, err := filesink.Parts(t.Context(), b, env.Job, env.UID)
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) < 4 {
		t.Errorf("%d parts", len(parts))
	}
	for i, p := range parts {
		want := fmt.Sprintf("job-abc123/op/part-00000-000000000001-%05d.jsonl", i)
		if p.Key != want || p.N != i || p.Size > 1200 {
			t.Errorf("part %d is %+v, want key %s", i, p, want)
		}
	}
	if got, err := readSubtask(t.Context(), b, env, 0, decodeJSON); err != nil || len(got) != 100 {
		t.Errorf("read %d records, %v", len(got), err)
	}
}

func TestOtherContentIsAnError(t *testing.T) {
	b := mem.New()
	s, env := filesink.JSONLines[record]("mem://x"), connectortest.Env(b)
	txns := prepare(t, s, env, 3)
	final := "job-abc123/op/part-00000-000000000001-00000.jsonl"
	if err := b.Put(t.Context(), final, []byte("other\n"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	err := s.Commit(t.Context(), env, txns)
	if !errors.Is(err, filesink.ErrConflict) {
		t.Fatalf("got %v, want ErrConflict", err)
	}
	for _, name := range []string{final, "_staging/job-abc123/op/c000000000001-a000001-s00000-n00000-"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

func TestCommitAfterForget(t *testing.T) {
	b := mem.New()
	s, env := filesink.JSONLines[record]("mem://x"), connectortest.Env(b)
	txns := prepare(t, s, env, 3)
	for i, step := range []func() error{
		func() error { return s.Commit(t.Context(), env, txns) },
		func() error { return s.Forget(t.Context(), env, txns) },
		func() error { return s.Forget(t.Context(), env, txns) },
		func() error { return s.Commit(t.Context(), env, txns) },
	} {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	if keys, err := staged(t.Context(), b); err != nil || len(keys) > 0 {
		t.Errorf("staged %v, %v", keys, err)
	}
}

func TestLostPartIsAnError(t *testing.T) {
	b := mem.New()
	s, env := filesink.JSONLines[record]("mem://x"), connectortest.Env(b)
	txns := prepare(t, s, env, 3)
	if err := s.Forget(t.Context(), env, txns); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), env, txns); !errors.Is(err, filesink.ErrLost) {
		t.Errorf("got %v, want ErrLost", err)
	}
}

func TestAbortAfterLeavesOthersAlone(t *testing.T) {
	b := mem.New()
	ctx := t.Context()
	s, env := filesink.JSONLines[record]("mem://x"), connectortest.Env(b)
	prepare(t, s, env, 3) // checkpoint 1 of attempt 1
	other := env
	other.UID = "op2"
	prepare(t, s, other, 3)
	now := env
	now.Attempt = 2
	prepare(t, s, now, 3)
	if err := s.AbortAfter(ctx, now, 1); err != nil {
		t.Fatal(err)
	}
	if keys, _ := staged(ctx, b); len(keys) != 3 {
		t.Fatalf("checkpoint 1 is restored, and staged are only %v", keys)
	}
	if err := s.AbortAfter(ctx, now, 0); err != nil {
		t.Fatal(err)
	}
	keys, err := staged(ctx, b)
	if err != nil || len(keys) != 2 || slices.ContainsFunc(keys, func(k string) bool { return strings.Contains(k, "/op/c000000000001-a000001") }) {
		t.Errorf("staged %v, %v", keys, err)
	}
}

func TestNoBucket(t *testing.T) {
	env := connectortest.Env(nil)
	env.OpenBucket = func(context.Context, string) (objectstore.Bucket, error) { return nil, objectstore.ErrNoBucket }
	if _, err := filesink.JSONLines[record]("s3://none").Open(t.Context(), env); !errors.Is(err, objectstore.ErrNoBucket) || !strings.Contains(err.Error(), "s3://none") {
		t.Errorf("got %v", err)
	}
}

func TestBadPayload(t *testing.T) {
	env := connectortest.Env(mem.New())
	for _, p := range []string{"", "{}", "[1]", "x"} {
		if err := filesink.JSONLines[record]("mem://x").Commit(t.Context(), env, []snapshot.Transaction{{Checkpoint: 1, Payload: []byte(p)}}); err == nil {
			t.Errorf("payload %q is accepted", p)
		}
	}
}
