package miniotest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Version is what server/go.mod requires. A test compares them.
	Version = "v0.0.0-20260212201848-7aac2a2c5b7c"
	// fetch is what a person does where Build could not get the modules.
	fetch = "(cd internal/miniotest/server && go mod download)"

	here = "github.com/cairnstream/cairn/internal/miniotest"
	// lockPoll is how often a build that another process is making is looked
	// at: it takes minutes.
	lockPoll = 200 * time.Millisecond
)

// Build returns the path of the server's executable, which it builds if the
// cache does not have it. Processes that build at once wait for one another.
// It runs the go command, in this module.
func Build(ctx context.Context) (string, error) {
	path, err := build(ctx)
	if err != nil {
		return "", fmt.Errorf("build MinIO %s: %w", Version, err)
	}
	return path, nil
}

func build(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "cairn")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "minio-"+Version)
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	_, err = os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = compile(ctx, path)
	}
	return path, errors.Join(err, unlock())
}

// compile makes the executable appear at path whole or not at all.
func compile(ctx context.Context, path string) error {
	module, err := goCommand(ctx, "", "list", "-f", "{{.Dir}}", here)
	if err != nil {
		return err
	}
	server := filepath.Join(strings.TrimSpace(module), "server")
	part := path + ".part"
	if _, err := goCommand(ctx, server, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", part, "github.com/minio/minio"); err != nil {
		return fmt.Errorf("%w\nif the modules are missing, fetch them: %s", err, fetch)
	}
	return os.Rename(part, path)
}

// goCommand runs the go command in dir and returns what it printed.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}

// lock waits for the lock file at path. The kernel frees the lock when the
// process ends.
func lock(ctx context.Context, path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f.Close, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, ctx.Err()), f.Close())
		}
	}
}
