package objectstore

import (
	"fmt"
	"strings"
)

const (
	// KeyBytesMax bounds a key. S3 allows 1,024 bytes; half of it is left to
	// the prefix of a bucket that is shared.
	KeyBytesMax = 512
	// segmentBytesMax is the longest file name of every file system we meet,
	// and MinIO's limit too, since it keeps objects as files.
	segmentBytesMax = 255
	// Reserved is the first segment that no key may have: the file bucket
	// keeps its unfinished writes there.
	Reserved = ".tmp"
)

// CheckKey returns nil if key may name an object, else an ErrKey that says
// which rule it breaks.
func CheckKey(key string) error {
	if key == "" || len(key) > KeyBytesMax {
		return fmt.Errorf("%w: %q has %d bytes: want 1 to %d", ErrKey, key, len(key), KeyBytesMax)
	}
	if err := checkAlphabet(key); err != nil {
		return err
	}
	for i, segment := range strings.Split(key, "/") {
		if err := checkSegment(key, segment, i == 0); err != nil {
			return err
		}
	}
	return nil
}

// CheckPrefix returns nil if prefix may begin an object's key, else an ErrKey.
// The empty prefix begins every key.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if strings.HasSuffix(prefix, "/") {
		return CheckKey(strings.TrimSuffix(prefix, "/"))
	}
	if len(prefix) > KeyBytesMax {
		return fmt.Errorf("%w: prefix of %d bytes: want at most %d", ErrKey, len(prefix), KeyBytesMax)
	}
	// The last segment is unfinished, so "." and ".tmp" are still allowed.
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		if err := CheckKey(prefix[:i]); err != nil {
			return err
		}
	}
	return checkAlphabet(prefix)
}

func checkAlphabet(key string) error {
	for i := range len(key) {
		if !keyByte(key[i]) {
			return fmt.Errorf("%w: %q has %q at byte %d: use A-Z a-z 0-9 . _ = - /", ErrKey, key, key[i], i)
		}
	}
	return nil
}

func keyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == '=' || c == '-' || c == '/'
}

func checkSegment(key, segment string, first bool) error {
	switch {
	case segment == "":
		return fmt.Errorf("%w: %q has an empty segment", ErrKey, key)
	case segment == "." || segment == "..":
		return fmt.Errorf("%w: %q has the segment %q", ErrKey, key, segment)
	case len(segment) > segmentBytesMax:
		return fmt.Errorf("%w: %q has a segment of more than %d bytes", ErrKey, key, segmentBytesMax)
	case first && segment == Reserved:
		return fmt.Errorf("%w: %q begins with %q, which is reserved", ErrKey, key, Reserved)
	}
	return nil
}

// CheckRange returns the number of bytes that a Get of length bytes from
// offset has to return from an object of size bytes, or an ErrRange. Length -1
// means to the end. Implementations share it so that they agree on the edges.
func CheckRange(key string, offset, length, size int64) (int64, error) {
	if offset < 0 || length < -1 || offset > size || length > size-offset {
		return 0, fmt.Errorf("%w: %s has %d bytes, asked for %d from %d", ErrRange, key, size, length, offset)
	}
	if length == -1 {
		return size - offset, nil
	}
	return length, nil
}
