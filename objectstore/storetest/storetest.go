// Package storetest is the suite that every objectstore.Bucket passes. An
// implementation's own tests call Run and add only what is theirs alone.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cairnstream/cairn/objectstore"
)

// Run runs the suite. Open returns an empty bucket, which it closes by
// t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) objectstore.Bucket) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, b objectstore.Bucket)
	}{
		{"put and get", putAndGet},
		{"put keeps no hold of the data", putKeepsNoHold},
		{"put again replaces", putAgain},
		{"if absent", ifAbsent},
		{"if absent: one winner", oneWinner},
		{"put file", putFile},
		{"put file that is too short", putFileShort},
		{"ranges", ranges},
		{"get into memory of the caller", getInto},
		{"missing", missing},
		{"reader", reader},
		{"copy", copyObject},
		{"copy over another", copyOver},
		{"delete", deleteObject},
		{"list", list},
		{"list stops", listStops},
		{"keys", keys},
		{"readers never see a part", neverAPart},
		{"many at once", manyAtOnce},
		{"ended context", endedContext},
		{"prefixed view", prefixedView},
		{"references", references},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

func put(t *testing.T, b objectstore.Bucket, key, data string) {
	t.Helper()
	must(t, b.Put(t.Context(), key, []byte(data), objectstore.PutOptions{}))
}

func wantObject(t *testing.T, b objectstore.Bucket, key, want string) {
	t.Helper()
	got, err := b.Get(t.Context(), key, 0, -1)
	must(t, err)
	if string(got) != want {
		t.Errorf("%s holds %.60q, want %.60q", key, got, want)
	}
}

func wantList(t *testing.T, b objectstore.Bucket, prefix string, want ...string) {
	t.Helper()
	var got []string
	must(t, b.List(t.Context(), prefix, func(i objectstore.Info) error {
		got = append(got, i.Key)
		return nil
	}))
	if !slices.Equal(got, want) {
		t.Errorf("list %q: %q, want %q", prefix, got, want)
	}
}

func putAndGet(t *testing.T, b objectstore.Bucket) {
	random := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{1}).Read(random)
	for key, data := range map[string]string{
		"a": "one", "dir/sub/b": "two", "empty": "", "big": string(random),
		"all/Zz09._=-": "alphabet", "long/" + strings.Repeat("x", 255): "long",
	} {
		put(t, b, key, data)
		wantObject(t, b, key, data)
	}
}

func putKeepsNoHold(t *testing.T, b objectstore.Bucket) {
	data := []byte("before")
	must(t, b.Put(t.Context(), "k", data, objectstore.PutOptions{}))
	copy(data, "after!")
	wantObject(t, b, "k", "before")
	got, err := b.Get(t.Context(), "k", 0, -1)
	must(t, err)
	copy(got, "after!")
	wantObject(t, b, "k", "before")
}

func putAgain(t *testing.T, b objectstore.Bucket) {
	put(t, b, "k", "first, and longer")
	put(t, b, "k", "second")
	wantObject(t, b, "k", "second")
}

func ifAbsent(t *testing.T, b objectstore.Bucket) {
	once := func(data string) error {
		return b.Put(t.Context(), "d/k", []byte(data), objectstore.PutOptions{IfAbsent: true})
	}
	must(t, once("first"))
	must(t, once("first")) // our own earlier try
	wantErr(t, "other bytes of one length", once("other"), objectstore.ErrExists)
	wantErr(t, "other bytes", once("another"), objectstore.ErrExists)
	wantObject(t, b, "d/k", "first")
	must(t, b.Delete(t.Context(), "d/k"))
	must(t, once("other"))
	wantObject(t, b, "d/k", "other")
}

func oneWinner(t *testing.T, b objectstore.Bucket) {
	const writers = 12
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			errs[i] = b.Put(t.Context(), "race", fmt.Appendf(nil, "writer %d", i), objectstore.PutOptions{IfAbsent: true})
		})
	}
	wg.Wait()
	winner := slices.Index(errs, nil)
	if winner < 0 {
		t.Fatalf("nobody won: %v", errs)
	}
	wantObject(t, b, "race", fmt.Sprintf("writer %d", winner))
	for i, err := range errs {
		if i != winner {
			wantErr(t, fmt.Sprintf("writer %d", i), err, objectstore.ErrExists)
		}
	}
}

func putFile(t *testing.T, b objectstore.Bucket) {
	data := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{2}).Read(data)
	r := bytes.NewReader(data)
	_, err := r.Seek(17, io.SeekStart) // PutFile begins at the beginning
	must(t, err)
	must(t, b.PutFile(t.Context(), "files/f", r, int64(len(data))))
	wantObject(t, b, "files/f", string(data))
	must(t, b.PutFile(t.Context(), "files/part", r, 100)) // size bytes, though r has more
	wantObject(t, b, "files/part", string(data[:100]))
	must(t, b.PutFile(t.Context(), "files/empty", bytes.NewReader(nil), 0))
	wantObject(t, b, "files/empty", "")
}

func putFileShort(t *testing.T, b objectstore.Bucket) {
	if err := b.PutFile(t.Context(), "f", strings.NewReader("five!"), 6); err == nil {
		t.Error("put 6 bytes of 5: no error")
	}
	wantList(t, b, "")
}

func ranges(t *testing.T, b objectstore.Bucket) {
	const object = "0123456789"
	put(t, b, "k", object)
	for _, c := range []struct {
		offset, length int64
		want           string
		bad            bool
	}{
		{0, 10, object, false}, {0, -1, object, false}, {3, 4, "3456", false}, {9, 1, "9", false},
		{3, -1, object[3:], false}, {10, -1, "", false}, {10, 0, "", false}, {0, 0, "", false}, {4, 0, "", false},
		{0, 11, "", true}, {9, 2, "", true}, {10, 1, "", true}, {11, -1, "", true}, {11, 0, "", true},
		{-1, 2, "", true}, {0, -2, "", true}, {1, 1<<63 - 1, "", true},
	} {
		got, err := b.Get(t.Context(), "k", c.offset, c.length)
		if c.bad {
			wantErr(t, fmt.Sprintf("get %d from %d", c.length, c.offset), err, objectstore.ErrRange)
			continue
		}
		if err != nil || string(got) != c.want {
			t.Errorf("get %d from %d: %q, %v, want %q", c.length, c.offset, got, err, c.want)
		}
	}
}

// getInto reads into memory of the caller's, with and without room.
func getInto(t *testing.T, b objectstore.Bucket) {
	const object = "0123456789"
	put(t, b, "k", object)
	for _, room := range []int{0, 3, 10, 50} {
		for _, c := range []struct{ offset, length int64 }{{0, 10}, {3, 4}, {9, 1}, {2, -1}, {4, 0}, {10, 0}} {
			buf := bytes.Repeat([]byte("x"), room)
			got, err := objectstore.GetInto(t.Context(), b, "k", c.offset, c.length, buf)
			want := object[c.offset:]
			if c.length >= 0 {
				want = want[:c.length]
			}
			if err != nil || string(got) != want {
				t.Errorf("get %d from %d into %d bytes: %q, %v, want %q", c.length, c.offset, room, got, err, want)
			}
			if n := len(got); n < room && strings.Trim(string(buf[n:]), "x") != "" {
				t.Errorf("get %d from %d into %d bytes: wrote behind its end: %q", c.length, c.offset, room, buf)
			}
		}
	}
	buf := make([]byte, 50)
	for _, c := range []struct{ offset, length int64 }{{0, 11}, {10, 1}, {11, 0}, {-1, 2}, {0, -2}} {
		_, err := objectstore.GetInto(t.Context(), b, "k", c.offset, c.length, buf)
		wantErr(t, fmt.Sprintf("get %d from %d into 50 bytes", c.length, c.offset), err, objectstore.ErrRange)
	}
	_, err := objectstore.GetInto(t.Context(), b, "nothing", 0, 1, buf)
	wantErr(t, "get nothing into 50 bytes", err, objectstore.ErrNotFound)
}

func missing(t *testing.T, b objectstore.Bucket) {
	put(t, b, "dir/k", "x")
	for _, key := range []string{"nothing", "no/such/folder", "dir", "dir/k2", "dir/k/below"} {
		_, err := b.Get(t.Context(), key, 0, -1)
		wantErr(t, "get "+key, err, objectstore.ErrNotFound)
		_, err = b.Get(t.Context(), key, 5, 5)
		wantErr(t, "get a range of "+key, err, objectstore.ErrNotFound)
		_, err = b.Reader(t.Context(), key)
		wantErr(t, "read "+key, err, objectstore.ErrNotFound)
		wantErr(t, "copy "+key, b.Copy(t.Context(), "copied", key), objectstore.ErrNotFound)
		must(t, b.Delete(t.Context(), key))
	}
	wantList(t, b, "", "dir/k")
}

func reader(t *testing.T, b objectstore.Bucket) {
	data := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{3}).Read(data)
	put(t, b, "k", string(data))
	put(t, b, "empty", "")
	for key, want := range map[string][]byte{"k": data, "empty": nil} {
		r, err := b.Reader(t.Context(), key)
		must(t, err)
		got, err := io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
		if !bytes.Equal(got, want) {
			t.Errorf("%s: read %d bytes, want the %d that were put", key, len(got), len(want))
		}
	}
	r, err := b.Reader(t.Context(), "k")
	must(t, err)
	must(t, r.Close()) // before its end
}

func copyObject(t *testing.T, b objectstore.Bucket) {
	put(t, b, "_staging/x", "content")
	must(t, b.Copy(t.Context(), "out/2024/x.csv", "_staging/x"))
	must(t, b.Copy(t.Context(), "out/2024/x.csv", "_staging/x")) // a repeated commit
	wantObject(t, b, "out/2024/x.csv", "content")
	wantObject(t, b, "_staging/x", "content")
	must(t, b.Delete(t.Context(), "_staging/x"))
	wantObject(t, b, "out/2024/x.csv", "content")
	wantList(t, b, "", "out/2024/x.csv")
}

func copyOver(t *testing.T, b objectstore.Bucket) {
	put(t, b, "src", "new")
	put(t, b, "dst", "old and longer")
	put(t, b, "other", "other")
	must(t, b.Copy(t.Context(), "other", "dst"))
	must(t, b.Copy(t.Context(), "dst", "src"))
	wantObject(t, b, "dst", "new")
	wantObject(t, b, "other", "old and longer")
	put(t, b, "src", "changed")
	wantObject(t, b, "dst", "new")
	wantList(t, b, "", "dst", "other", "src")
}

func deleteObject(t *testing.T, b objectstore.Bucket) {
	put(t, b, "d/a", "1")
	put(t, b, "d/b", "2")
	must(t, b.Delete(t.Context(), "d/a"))
	must(t, b.Delete(t.Context(), "d/a"))
	wantList(t, b, "", "d/b")
	must(t, b.Delete(t.Context(), "d/b"))
	must(t, b.Delete(t.Context(), "d")) // what a folder leaves behind is no object
	put(t, b, "d/a", "again")
	wantObject(t, b, "d/a", "again")
}

func list(t *testing.T, b objectstore.Bucket) {
	wantList(t, b, "")
	all := []string{"a", "a-b/x", "a.b", "aa", "b/1", "b/10", "b/2", "b=c", "c/d/e/f", "c/d/e0"}
	for i, key := range all {
		put(t, b, key, strings.Repeat("x", i))
	}
	wantList(t, b, "", all...)
	wantList(t, b, "a", "a", "a-b/x", "a.b", "aa")
	wantList(t, b, "a-", "a-b/x")
	wantList(t, b, "b", "b/1", "b/10", "b/2", "b=c")
	wantList(t, b, "b/", "b/1", "b/10", "b/2")
	wantList(t, b, "b/1", "b/1", "b/10")
	wantList(t, b, "c/d/e", "c/d/e/f", "c/d/e0")
	wantList(t, b, "c/d/e/", "c/d/e/f")
	wantList(t, b, "zzz")
	wantList(t, b, "no/such/")
	wantList(t, b, "a/")
	must(t, b.List(t.Context(), "", func(i objectstore.Info) error {
		if want := int64(slices.Index(all, i.Key)); i.Size != want || i.Modified.IsZero() {
			t.Errorf("%s: %d bytes at %v, want %d and a time", i.Key, i.Size, i.Modified, want)
		}
		return nil
	}))
}

func listStops(t *testing.T, b objectstore.Bucket) {
	for i := range 5 {
		put(t, b, fmt.Sprintf("d%d/k", i), "x")
	}
	stop, calls := errors.New("enough"), 0
	err := b.List(t.Context(), "", func(objectstore.Info) error {
		if calls++; calls == 2 {
			return stop
		}
		return nil
	})
	if err != stop || calls != 2 {
		t.Errorf("list ended with %v after %d calls, want the callback's own error after 2", err, calls)
	}
}

func keys(t *testing.T, b objectstore.Bucket) {
	put(t, b, "ok", "x")
	for _, key := range []string{
		"", "/a", "a/", "a//b", ".", "..", "a/../b", "../ok", "a/.", "sp ace", "ü", "a\\b", "a*", "a\x00",
		strings.Repeat("x/", 256) + "x", strings.Repeat("x", 256), ".tmp/a", ".tmp",
	} {
		wantErr(t, "put "+key, b.Put(t.Context(), key, nil, objectstore.PutOptions{}), objectstore.ErrKey)
		wantErr(t, "put file "+key, b.PutFile(t.Context(), key, bytes.NewReader(nil), 0), objectstore.ErrKey)
		_, err := b.Get(t.Context(), key, 0, -1)
		wantErr(t, "get "+key, err, objectstore.ErrKey)
		_, err = b.Reader(t.Context(), key)
		wantErr(t, "read "+key, err, objectstore.ErrKey)
		wantErr(t, "copy to "+key, b.Copy(t.Context(), key, "ok"), objectstore.ErrKey)
		wantErr(t, "copy from "+key, b.Copy(t.Context(), "ok2", key), objectstore.ErrKey)
		wantErr(t, "delete "+key, b.Delete(t.Context(), key), objectstore.ErrKey)
	}
	for _, prefix := range []string{"/", "../", "a//", "sp ace"} {
		wantErr(t, "list "+prefix, b.List(t.Context(), prefix, func(objectstore.Info) error { return nil }), objectstore.ErrKey)
	}
	wantList(t, b, "", "ok")
}

// neverAPart replaces an object again and again under a reader's eyes.
func neverAPart(t *testing.T, b objectstore.Bucket) {
	const size, puts = 200_000, 20
	content := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, size) }
	must(t, b.Put(t.Context(), "k", content(0), objectstore.PutOptions{}))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		for i := range puts {
			if err := b.Put(t.Context(), "k", content(i), objectstore.PutOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	for ctx.Err() == nil {
		data, err := b.Get(t.Context(), "k", 0, -1)
		if err != nil || len(data) != size || bytes.Count(data, data[:1]) != size {
			t.Errorf("read a part: %d bytes, error %v", len(data), err)
			break
		}
	}
	wg.Wait()
}

func manyAtOnce(t *testing.T, b objectstore.Bucket) {
	const writers, each = 8, 6
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("shared/%d/%d", i, w)
				if err := b.Put(t.Context(), key, []byte(key), objectstore.PutOptions{IfAbsent: i%2 == 0}); err != nil {
					t.Error(err)
				}
				if got, err := b.Get(t.Context(), key, 0, -1); err != nil || string(got) != key {
					t.Errorf("get %s: %q, %v", key, got, err)
				}
				if err := b.Copy(t.Context(), key+".copy", key); err != nil {
					t.Error(err)
				}
				if err := b.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	n := 0
	must(t, b.List(t.Context(), "shared/", func(objectstore.Info) error { n++; return nil }))
	if n != writers*each {
		t.Errorf("%d objects are left, want %d", n, writers*each)
	}
}

func endedContext(t *testing.T, b objectstore.Bucket) {
	put(t, b, "k", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, "put", b.Put(ctx, "k2", []byte("x"), objectstore.PutOptions{}), context.Canceled)
	wantErr(t, "put file", b.PutFile(ctx, "k2", strings.NewReader("x"), 1), context.Canceled)
	_, err := b.Get(ctx, "k", 0, -1)
	wantErr(t, "get", err, context.Canceled)
	_, err = b.Reader(ctx, "k")
	wantErr(t, "read", err, context.Canceled)
	wantErr(t, "copy", b.Copy(ctx, "k3", "k"), context.Canceled)
	wantErr(t, "delete", b.Delete(ctx, "k"), context.Canceled)
	wantErr(t, "list", b.List(ctx, "", func(objectstore.Info) error { return nil }), context.Canceled)
	wantList(t, b, "", "k")
}

func prefixedView(t *testing.T, b objectstore.Bucket) {
	v := objectstore.Prefixed(b, "team/a/")
	put(t, b, "team/b", "outside")
	put(t, v, "x/1", "inside")
	must(t, v.Copy(t.Context(), "x/2", "x/1"))
	wantObject(t, b, "team/a/x/2", "inside")
	wantObject(t, v, "x/2", "inside")
	wantList(t, v, "", "x/1", "x/2")
	wantList(t, v, "x/2", "x/2")
	must(t, v.Delete(t.Context(), "x/1"))
	wantList(t, b, "", "team/a/x/2", "team/b")
	must(t, v.Close())
	wantObject(t, b, "team/b", "outside") // the view does not own the bucket
	if !strings.Contains(v.URL(), "/team/a") {
		t.Errorf("URL %s does not tell the prefix", v.URL())
	}
}

func references(t *testing.T, b objectstore.Bucket) {
	put(t, b, "k", "....payload....")
	ref := objectstore.Ref{Key: "k", Offset: 4, Length: 7, CRC32C: objectstore.CRC32C([]byte("payload"))}
	got, err := objectstore.ReadRef(t.Context(), b, ref)
	if err != nil || string(got) != "payload" {
		t.Errorf("read %+v: %q, %v", ref, got, err)
	}
	for what, change := range map[string]func(*objectstore.Ref){
		"another checksum": func(r *objectstore.Ref) { r.CRC32C++ },
		"another offset":   func(r *objectstore.Ref) { r.Offset++ },
		"beyond the end":   func(r *objectstore.Ref) { r.Offset = 12 },
		"negative":         func(r *objectstore.Ref) { r.Length = -1 },
	} {
		bad := ref
		change(&bad)
		_, err := objectstore.ReadRef(t.Context(), b, bad)
		wantErr(t, what, err, objectstore.ErrCorrupt)
	}
	ref.Key = "gone"
	_, err = objectstore.ReadRef(t.Context(), b, ref)
	wantErr(t, "a missing object", err, objectstore.ErrNotFound)
	info, err := objectstore.Stat(t.Context(), b, "k")
	if err != nil || info.Size != 15 {
		t.Errorf("stat: %+v, %v", info, err)
	}
	_, err = objectstore.Stat(t.Context(), b, "gone")
	wantErr(t, "stat", err, objectstore.ErrNotFound)
}
