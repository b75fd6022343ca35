package objectstore_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
)

func TestCheckPrefix(t *testing.T) {
	for prefix, ok := range map[string]bool{
		"": true, "a": true, "a/": true, "a/b": true, "a/.": true, ".": true, "a/..": true,
		"/": false, "a//": false, "../": false, "./a": false, "a b": false, strings.Repeat("x/", 300): false,
	} {
		if err := objectstore.CheckPrefix(prefix); (err == nil) != ok || err != nil && !errors.Is(err, objectstore.ErrKey) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

func TestCount(t *testing.T) {
	c := objectstore.Count(mem.New())
	ctx := t.Context()
	steps := []error{
		c.Put(ctx, "k", []byte("12345"), objectstore.PutOptions{IfAbsent: true}),
		c.PutFile(ctx, "f", strings.NewReader("123"), 3),
		c.Copy(ctx, "k2", "k"),
		c.Delete(ctx, "k2"),
		c.List(ctx, "", func(objectstore.Info) error { return nil }),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	if err := c.Put(ctx, "k", []byte("other"), objectstore.PutOptions{IfAbsent: true}); !errors.Is(err, objectstore.ErrExists) {
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, "k", 1, 2); err != nil {
		t.Fatal(err)
	}
	r, err := c.Reader(ctx, "f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	if _, err := objectstore.GetInto(ctx, c, "k", 0, 4, make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	want := objectstore.Counts{Puts: 3, PutBytes: 8, Gets: 3, GetBytes: 9, Copies: 1, Deletes: 1, Lists: 1}
	if got := c.Counts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

func TestFetchKeepsOnlyWhatIsVerified(t *testing.T) {
	b := mem.New()
	content := "an executable"
	if err := b.Put(t.Context(), "k", []byte(content), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	sum, size, err := objectstore.SHA256(strings.NewReader(content))
	if err != nil || size != int64(len(content)) {
		t.Fatal(size, err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "bin")
	if err := objectstore.Fetch(t.Context(), b, "k", sum, path, 0o700); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != content {
		t.Errorf("fetched %q, %v", got, err)
	}
	err = objectstore.Fetch(t.Context(), b, "k", strings.Repeat("0", 64), filepath.Join(dir, "bad"), 0o700)
	if !errors.Is(err, objectstore.ErrCorrupt) || !strings.Contains(err.Error(), sum) {
		t.Errorf("another hash: %v", err)
	}
	if err := objectstore.Fetch(t.Context(), b, "gone", sum, filepath.Join(dir, "gone"), 0o700); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("a missing object: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, want the verified one: %v", len(left), err)
	}
}
