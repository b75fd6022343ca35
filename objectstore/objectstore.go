// Package objectstore is the seam to the world outside: immutable blobs, and
// exactly what Cairn assumes of them.
//
// Everything that Cairn keeps in a bucket (artifacts, changelog segments,
// checkpoint metadata, staged and committed output) goes through Bucket. Its
// implementations (file, s3, mem, and faulty around any of them) pass the one
// suite in storetest. The package open turns a URL into one of them, and claim
// makes sure that one cluster has it. What a Ref names never changes: a name is
// written by one PUT and never used again.
package objectstore

import (
	"context"
	"errors"
	"io"
	"time"
)

var (
	// ErrNotFound is returned when the named object does not exist.
	ErrNotFound = errors.New("object not found")
	// ErrExists is returned by a Put with IfAbsent when another writer's
	// object has the name. Our own earlier try never counts: an
	// implementation compares contents before it says so.
	ErrExists = errors.New("object exists with other content")
	// ErrCorrupt is returned when what was read does not match its Ref.
	ErrCorrupt = errors.New("object corrupt")
	// ErrNoBucket is returned by Open when the bucket or folder does not
	// exist or may not be used.
	ErrNoBucket = errors.New("no such bucket")
	// ErrRange is returned by a Get whose range is negative or goes beyond the
	// object's end.
	ErrRange = errors.New("range beyond the object's end")
	// ErrKey is returned for a key that breaks Bucket's rules.
	ErrKey = errors.New("bad object key")
)

// Ref names a range of an immutable object and what it holds: the one word
// that state, wire and catalog share.
type Ref struct {
	Key    string `json:"key" cbor:"k"`
	Offset int64  `json:"offset" cbor:"o"`
	Length int64  `json:"length" cbor:"l"`
	CRC32C uint32 `json:"crc32c" cbor:"c"` // of exactly these bytes
}

// Info is what a List tells of an object.
type Info struct {
	Key      string
	Size     int64
	Modified time.Time
}

// PutOptions choose how a Put behaves.
type PutOptions struct {
	// IfAbsent makes the Put fail with ErrExists if the name is taken by other
	// content. A store without conditional writes checks first; no safety
	// rests on that alone.
	IfAbsent bool
}

// Bucket is a flat space of immutable objects.
//
// Durability: when Put or Copy returns nil the object is durable and visible to
// every reader; when it returns an error the object may exist or not, whole or
// not at all: a reader never sees a part. Concurrency: all methods may be
// called at once. Retries: an implementation retries what is safe to retry
// within its own budget and then returns the last error; callers retry with
// the same bytes. Keys are slash-separated, of [A-Za-z0-9._=-/], at most 512 bytes
// and 255 a segment, without empty, "." or ".." segments; the first segment
// ".tmp" belongs to the implementations; anything else is an error (CheckKey).
// Folders and real servers add two rules that nobody checks: no key is another
// key followed by "/" and more, and no two keys differ in case alone.
type Bucket interface {
	// Put stores data under key.
	Put(ctx context.Context, key string, data []byte, opts PutOptions) error
	// PutFile stores size bytes of r under key, for what is too large for
	// memory. r is read from its beginning once per try.
	PutFile(ctx context.Context, key string, r io.ReadSeeker, size int64) error
	// Get returns length bytes from offset. Length -1 means to the end. A
	// range beyond the end is an error, not a short read.
	Get(ctx context.Context, key string, offset, length int64) ([]byte, error)
	// Reader streams the whole object.
	Reader(ctx context.Context, key string) (io.ReadCloser, error)
	// Copy makes dst a copy of src without moving bytes through this process
	// where the store can (rename-free: both exist afterwards).
	Copy(ctx context.Context, dst, src string) error
	// Delete removes key. A missing object is not an error.
	Delete(ctx context.Context, key string) error
	// List calls f for the objects whose key begins with prefix, in
	// lexicographic order, until f returns an error.
	List(ctx context.Context, prefix string, f func(Info) error) error
	// URL tells people where this is, without credentials: file:///x, s3://b/p.
	URL() string
	// Close releases connections. The bucket must not be used afterwards.
	Close() error
}
