package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/cairnstream/cairn/wire"
)

// matchBytesMax bounds a match: it travels in one message, and a state of a job is a line.
const matchBytesMax = 4 << 20

// writeRestorePoint writes what a program is to match itself with, for its plan. The store is
// named in any case, since a program that plans has no agent to ask.
func (a *agent) writeRestorePoint(path string, r *wire.RestorePoint) error {
	r = proto.CloneOf(r)
	if r.Store == "" {
		r.Store = a.artifacts.store()
	}
	data, err := protojson.Marshal(r)
	if err != nil {
		return fmt.Errorf("restore point: %w", err)
	}
	return os.WriteFile(path, data, 0o600)
}

func readMatch(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("the program did not match itself with the restore point: build it with this version of cairn")
	}
	if err != nil {
		return nil, fmt.Errorf("read the program's match: %w", err)
	}
	if info.Size() > matchBytesMax {
		return nil, fmt.Errorf("the program's match has %d bytes, at most %d are allowed", info.Size(), matchBytesMax)
	}
	match, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the program's match: %w", err)
	}
	if !json.Valid(match) {
		return nil, errors.New("the program's match is not JSON")
	}
	return match, nil
}
