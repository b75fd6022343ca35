package miniotest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// startTries is how often a port is picked: between the picking and the
	// server's listening another process may take it.
	startTries = 3
	// startTimeout is generous for a busy machine; the server takes a second.
	startTimeout = time.Minute
	// readyPoll is how often a starting server is asked whether it is ready.
	readyPoll = 25 * time.Millisecond
	// logTail is how much of the server's output an error repeats.
	logTail = 4 << 10
)

// guard runs the server and kills it when standard input ends, that is when
// the process that holds the other end is gone, however it ended.
const guard = `exec 3<&0
"$@" </dev/null & pid=$!
(read _ <&3; kill -9 $pid) & watcher=$!
wait $pid
kill $watcher 2>/dev/null`

// Server is a running MinIO.
type Server struct {
	Endpoint  string // http://127.0.0.1:port
	AccessKey string
	SecretKey string

	alive  *os.File      // the guard's standard input
	exited chan struct{} // closed when the process has ended
}

// Start runs a server with an empty folder for as long as the test. A server
// that cannot be built fails the test, with the command that fetches what is
// missing.
func Start(t testing.TB) *Server {
	t.Helper()
	path, err := Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Launch(t.Context(), path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Launch runs the executable at path with its data in dir and returns when it
// serves. The server ends with Close or with this process.
func Launch(ctx context.Context, path, dir string) (*Server, error) {
	var errs []error
	for range startTries {
		s, err := launch(ctx, path, dir)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("start %s: %w", path, errors.Join(errs...))
}

func launch(ctx context.Context, path, dir string) (*Server, error) {
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Endpoint: "http://" + address, AccessKey: "cairn-test", SecretKey: rand.Text(), exited: make(chan struct{})}
	logPath := filepath.Join(dir, "minio.log")
	if err := s.run(path, dir, address, logPath); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("%w\n%s", err, tail(logPath))
	}
	return s, nil
}

func (s *Server) run(path, dir, address, logPath string) error {
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	stdin, alive, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close() // likewise
	cmd := exec.Command("/bin/sh", "-c", guard, "sh", path, "server", "--quiet", "--address", address,
		"--config-dir", filepath.Join(dir, "config"), filepath.Join(dir, "data"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, log, log
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME="+dir)
	if err := cmd.Start(); err != nil {
		return errors.Join(err, alive.Close())
	}
	s.alive = alive
	go func() { // ends with the process, for which Close waits
		defer close(s.exited)
		cmd.Wait() // it is killed: its status tells nothing
	}()
	return nil
}

// ready waits until the server answers.
func (s *Server) ready(ctx context.Context) error {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		if s.healthy(ctx) {
			return nil
		}
		select {
		case <-poll.C:
		case <-s.exited:
			return errors.New("it exited")
		case <-ctx.Done():
			return fmt.Errorf("it does not serve: %w", ctx.Err())
		}
	}
}

func (s *Server) healthy(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/minio/health/ready", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// Close kills the server and waits until it is gone. It may be called twice.
func (s *Server) Close() {
	s.alive.Close() // the second time it is closed already
	<-s.exited
}

// Credentials are the server's root credentials.
func (s *Server) Credentials() *credentials.Credentials {
	return credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")
}

// Env are the variables that give a process access to the server.
func (s *Server) Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey}
}

// URL is the object store URL of a bucket on the server, without credentials.
func (s *Server) URL(bucket string) string {
	return fmt.Sprintf("s3://%s?endpoint=%s&path_style=true", bucket, url.QueryEscape(s.Endpoint))
}

// MakeBucket makes a bucket.
func (s *Server) MakeBucket(ctx context.Context, name string) error {
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return err
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: s.Credentials(), Region: "us-east-1"})
	if err != nil {
		return fmt.Errorf("make bucket %s: %w", name, err)
	}
	if err := client.MakeBucket(ctx, name, minio.MakeBucketOptions{}); err != nil {
		return fmt.Errorf("make bucket %s: %w", name, err)
	}
	return nil
}

// freePort picks an address that is free at the moment.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// tail is the end of the server's output, for an error.
func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-logTail):])
}
