package checkpointstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/objectstore"
)

// artifactMode lets the owner run a fetched artifact and everyone read it.
const artifactMode = 0o755

// PutArtifact stores the executable that r holds under its SHA-256, which must
// be sha256 (hexadecimal): otherwise it is objectstore.ErrCorrupt and nothing
// is stored. It is read once to verify it and once to send it; an artifact
// that is already there, whole, is not sent again, and existed is true. One that
// was damaged in the bucket is replaced, which heals every job that needs it.
func (s *Store) PutArtifact(ctx context.Context, sha256 string, r io.ReadSeeker) (o catalog.Object, existed bool, err error) {
	o, existed, err = s.putArtifact(ctx, sha256, r)
	if err != nil {
		return catalog.Object{}, false, fmt.Errorf("put artifact %.12s: %w", sha256, err)
	}
	return o, existed, nil
}

func (s *Store) putArtifact(ctx context.Context, sha256 string, r io.ReadSeeker) (catalog.Object, bool, error) {
	if err := checkSHA256(sha256); err != nil {
		return catalog.Object{}, false, err
	}
	sum, size, err := objectstore.SHA256(r)
	if err != nil {
		return catalog.Object{}, false, fmt.Errorf("hash: %w", err)
	}
	if sum != sha256 {
		return catalog.Object{}, false, fmt.Errorf("%w: SHA-256 of the %d bytes is %s, announced was %s",
			objectstore.ErrCorrupt, size, sum, sha256)
	}
	o := catalog.Object{Key: ArtifactKey(s.cluster, sha256), Size: size, SHA256: sha256}
	existed, err := s.intact(ctx, o.Key, sha256)
	if err != nil || existed {
		return o, existed, err
	}
	return o, false, s.bucket.PutFile(ctx, o.Key, r, size)
}

// intact tells whether the bucket has the object with this SHA-256.
func (s *Store) intact(ctx context.Context, key, sha256 string) (bool, error) {
	err := objectstore.Check(ctx, s.bucket, key, sha256)
	if errors.Is(err, objectstore.ErrCorrupt) || errors.Is(err, objectstore.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// HasArtifact tells whether the bucket has the artifact with the right content.
// It reads all of it: a damaged one must be put again before a job can run.
func (s *Store) HasArtifact(ctx context.Context, sha256 string) (bool, error) {
	if err := checkSHA256(sha256); err != nil {
		return false, fmt.Errorf("look for artifact %.12s: %w", sha256, err)
	}
	return s.intact(ctx, ArtifactKey(s.cluster, sha256), sha256)
}

// FetchArtifact brings the artifact to the local file path, executable. The
// file appears whole and with the right hash or not at all.
func (s *Store) FetchArtifact(ctx context.Context, sha256, path string) error {
	if err := checkSHA256(sha256); err != nil {
		return fmt.Errorf("fetch artifact %.12s: %w", sha256, err)
	}
	return objectstore.Fetch(ctx, s.bucket, ArtifactKey(s.cluster, sha256), sha256, path, artifactMode)
}

// checkSHA256 keeps what is no hash out of object names.
func checkSHA256(sum string) error {
	raw, err := hex.DecodeString(sum)
	if err != nil || len(raw) != 32 || hex.EncodeToString(raw) != sum {
		return fmt.Errorf("%q is no SHA-256: want 64 of 0-9 a-f", sum)
	}
	return nil
}
