package filesink

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// Commit gives the transactions' parts their final names. A part that is there
// already is read and compared: the same content is a commit that is being
// repeated, other content is ErrConflict.
func (s *Sink[T]) Commit(ctx context.Context, env connector.Env, txns []snapshot.Transaction) error {
	return s.each(ctx, env, txns, "commit", func(b objectstore.Bucket, p payload) error { return commit(ctx, b, p) })
}

// Forget deletes the staged parts: from now on a repeated Commit finds the final ones.
func (s *Sink[T]) Forget(ctx context.Context, env connector.Env, txns []snapshot.Transaction) error {
	return s.each(ctx, env, txns, "forget", func(b objectstore.Bucket, p payload) error { return b.Delete(ctx, p.Staged.Key) })
}

// each calls f with the parts of the transactions.
func (s *Sink[T]) each(ctx context.Context, env connector.Env, txns []snapshot.Transaction, what string, f func(objectstore.Bucket, payload) error) error {
	if len(txns) == 0 {
		return nil
	}
	err := s.with(ctx, env, func(b objectstore.Bucket) error {
		for _, txn := range txns {
			p, err := decodePayload(txn.Payload)
			if err == nil {
				err = f(b, p)
			}
			if err != nil {
				return fmt.Errorf("%s checkpoint %d: %w", what, txn.Checkpoint, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("file sink %s: %w", env.UID, err)
	}
	return nil
}

// commit makes one part visible. Two machines that do it at once both find no
// final part and copy the same staged one.
func commit(ctx context.Context, b objectstore.Bucket, p payload) error {
	err := compare(ctx, b, p)
	if !errors.Is(err, objectstore.ErrNotFound) {
		return err
	}
	err = b.Copy(ctx, p.Final, p.Staged.Key)
	if !errors.Is(err, objectstore.ErrNotFound) {
		return err
	}
	// Another machine may have committed and forgotten it since we looked.
	if err := compare(ctx, b, p); !errors.Is(err, objectstore.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w: neither %s nor %s is in %s", ErrLost, p.Final, p.Staged.Key, b.URL())
}

// compare returns nil if the final part has the staged one's content.
func compare(ctx context.Context, b objectstore.Bucket, p payload) (err error) {
	r, err := b.Reader(ctx, p.Final)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	size, crc, err := checksum(r)
	if err != nil {
		return fmt.Errorf("compare %s: %w", p.Final, err)
	}
	if size != p.Staged.Length || crc != p.Staged.CRC32C {
		return fmt.Errorf("%w: %s has %d bytes with CRC32C %08x, %s %d bytes with %08x", ErrConflict,
			p.Final, size, crc, p.Staged.Key, p.Staged.Length, p.Staged.CRC32C)
	}
	return nil
}

// AbortAfter deletes what older attempts staged for checkpoints that will not
// complete any more. What they staged up to restored stays: another subtask may
// be committing it.
func (s *Sink[T]) AbortAfter(ctx context.Context, env connector.Env, restored dataflow.CheckpointID) error {
	err := s.with(ctx, env, func(b objectstore.Bucket) error {
		var void []string
		err := b.List(ctx, stagedPrefix(env.Job, env.UID), func(o objectstore.Info) error {
			if id, attempt, ok := parseStaged(o.Key); ok && attempt < env.Attempt && id > restored {
				void = append(void, o.Key)
			}
			return nil
		})
		for _, key := range void {
			err = errors.Join(err, b.Delete(ctx, key))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("file sink %s: abort after checkpoint %d: %w", env.UID, restored, err)
	}
	return nil
}
