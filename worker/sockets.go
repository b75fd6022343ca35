package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// socketsRoot is where socket directories are made: a socket's path may have
// 104 bytes on macOS, less than its usual temporary directory takes.
const socketsRoot = "/tmp"

// makeSockets makes this run's directory for sockets and removes that of a run
// before it, which was killed. The data directory remembers its name.
func makeSockets(dir *dataDir) (string, error) {
	note := dir.file("sockets")
	if err := removeOldSockets(note); err != nil {
		return "", fmt.Errorf("remove old sockets: %w", err)
	}
	sockets, err := os.MkdirTemp(socketsRoot, "cairn-")
	if err != nil {
		return "", fmt.Errorf("make socket directory: %w", err)
	}
	if err := os.WriteFile(note, []byte(sockets), 0o644); err != nil {
		return "", errors.Join(fmt.Errorf("note socket directory: %w", err), os.RemoveAll(sockets))
	}
	return sockets, nil
}

// removeOldSockets removes what the note names, if it looks like ours.
func removeOldSockets(note string) error {
	old, err := os.ReadFile(note)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	path := string(old)
	if filepath.Dir(path) != socketsRoot || !strings.HasPrefix(filepath.Base(path), "cairn-") {
		return nil
	}
	return os.RemoveAll(path)
}
