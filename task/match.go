package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/wire"
)

// WriteMatch matches a program with the restore point that the file request names, and writes
// the engine.Match to the file out, as JSON. request holds a wire.RestorePoint as JSON, with its
// store. A program that does not fit is a match with refusals and no error.
//
// It runs in a program that is started to plan: nothing of the job runs, but its operators are
// opened.
func WriteMatch(ctx context.Context, program *engine.Program, request, out string) error {
	r, err := readRequest(ctx, request)
	if err != nil {
		return fmt.Errorf("match: %w", err)
	}
	m, err := engine.MatchRestore(program, r, engine.MatchOptions{AllowNonRestored: r.AllowNonRestored, OpenBucket: openConnector})
	if err != nil {
		return err
	}
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("match: %w", err)
	}
	return os.WriteFile(out, data, 0o600)
}

// readRequest reads the restore point's metadata object from its store.
func readRequest(ctx context.Context, path string) (r *engine.Restore, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	point := &wire.RestorePoint{}
	if err := protojson.Unmarshal(data, point); err != nil {
		return nil, fmt.Errorf("read the restore point: %w", err)
	}
	bucket, err := openBucket(ctx, point.Store)
	if err != nil {
		return nil, fmt.Errorf("open the store of the restore point: %w", err)
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	m, err := checkpointstore.New(bucket, "").Read(ctx, catalog.Object{Key: point.Key, Size: point.Size, SHA256: point.Sha256})
	if err != nil {
		return nil, &metadataError{point.Key, err}
	}
	return &engine.Restore{
		Checkpoint: m.Checkpoint, Attempt: m.Attempt, KeyGroups: m.KeyGroups, Processes: m.Processes,
		AllowNonRestored: point.AllowNonRestoredState,
	}, nil
}
