package objectstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// errFound ends a List early.
var errFound = errors.New("found")

// Stat returns the object's size and time, or ErrNotFound.
func Stat(ctx context.Context, b Bucket, key string) (Info, error) {
	var found Info
	err := b.List(ctx, key, func(info Info) error {
		if info.Key == key { // the shortest name with this prefix comes first
			found = info
		}
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		return Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	if found.Key == "" {
		return Info{}, fmt.Errorf("stat %s: %w", key, ErrNotFound)
	}
	return found, nil
}

// SHA256 returns the hexadecimal SHA-256 and the size of what r holds from its
// beginning, and rewinds r.
func SHA256(r io.ReadSeeker) (sum string, size int64, err error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", 0, err
	}
	h := sha256.New()
	if size, err = io.Copy(h, r); err != nil {
		return "", 0, err
	}
	_, err = r.Seek(0, io.SeekStart)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// Fetch copies the object to the local file path, with mode, and verifies its
// SHA-256 (hexadecimal) on the way. The file appears whole and verified or not
// at all: another content is ErrCorrupt and nothing is kept. Callers that fetch
// to the same path at once do not disturb each other.
func Fetch(ctx context.Context, b Bucket, key, sha256 string, path string, mode os.FileMode) error {
	err := fetch(ctx, b, key, sha256, path, mode)
	if err != nil {
		return fmt.Errorf("fetch %s to %s: %w", key, path, err)
	}
	return nil
}

func fetch(ctx context.Context, b Bucket, key, sum, path string, mode os.FileMode) (err error) {
	r, err := b.Reader(ctx, key)
	if err != nil {
		return err
	}
	defer r.Close() // only read from: Close has nothing to lose
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if err := errors.Join(copyVerified(tmp, r, sum), tmp.Chmod(mode), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Check reads the whole object and returns ErrCorrupt if its SHA-256
// (hexadecimal) is another.
func Check(ctx context.Context, b Bucket, key, sha256 string) error {
	r, err := b.Reader(ctx, key)
	if err != nil {
		return fmt.Errorf("check %s: %w", key, err)
	}
	defer r.Close() // only read from: Close has nothing to lose
	if err := copyVerified(io.Discard, r, sha256); err != nil {
		return fmt.Errorf("check %s: %w", key, err)
	}
	return nil
}

// copyVerified copies r to w and returns ErrCorrupt if its SHA-256 is not sum.
func copyVerified(w io.Writer, r io.Reader, sum string) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), r)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return fmt.Errorf("%w: SHA-256 %s of %d bytes, want %s", ErrCorrupt, got, n, sum)
	}
	return nil
}
