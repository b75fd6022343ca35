package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/wire"
)

const (
	// beginLimit is above the time that a savepoint may wait for a checkpoint in
	// flight, by default ten minutes.
	beginLimit = 11 * time.Minute
	// savepointPoll is how often the cluster is asked how far it is: soon enough for a
	// person.
	savepointPoll = 200 * time.Millisecond
)

// notFound is an error with ExitNotFound.
func notFound(format string, args ...any) error {
	return status.Error(codes.NotFound, fmt.Sprintf(format, args...))
}

// savepointTaken waits until a savepoint that has begun can be restored from, and says
// where it is. A failed one is an error; the job runs on.
func (t *tree) savepointTaken(ctx context.Context, c *Client, what string, s *wire.Savepoint, noWait bool) error {
	s, err := t.awaitSavepoint(ctx, c, what, s, noWait)
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(view(s))
	}
	return t.tellSavepoint(s)
}

// awaitSavepoint waits while it is taken and written.
func (t *tree) awaitSavepoint(ctx context.Context, c *Client, what string, s *wire.Savepoint, noWait bool) (*wire.Savepoint, error) {
	p := newProgress(t.stderr)
	defer p.end()
	began := time.Now()
	for busySavepoint(s) && !noWait {
		p.say(fmt.Sprintf("savepoint %d of job %s: %s for %s", s.Id, s.Job, s.Status, time.Since(began).Round(time.Second)))
		if err := sleep(ctx, savepointPoll); err != nil {
			return nil, err
		}
		next, err := savepointOf(ctx, c, what, s.Job, s.Id)
		if err != nil {
			return nil, err
		}
		s = next
	}
	if s.Status == "failed" {
		return nil, fmt.Errorf("%s: savepoint %d of job %s failed: %s; the job runs on", what, s.Id, s.Job, s.Reason)
	}
	return s, nil
}

func busySavepoint(s *wire.Savepoint) bool { return s.Status == "taking" || s.Status == "writing" }

// tellSavepoint says where a savepoint is, or how to find out.
func (t *tree) tellSavepoint(s *wire.Savepoint) error {
	if busySavepoint(s) {
		_, err := fmt.Fprintf(t.stdout, "savepoint %d of job %s begun; see it with: cairn savepoint show %s %d\n", s.Id, s.Job, s.Job, s.Id)
		return err
	}
	if s.Reason != "" {
		fmt.Fprintf(t.stdout, "it refers to the checkpoint's objects, since a canonical one was not possible: %s\n", s.Reason)
	}
	_, err := fmt.Fprintf(t.stdout, "savepoint %d of job %s: %s, %s\nrestore from it with: cairn job submit PROGRAM --from %s\n",
		s.Id, s.Job, s.Format, bytesText(s.Bytes), shellWord(s.Location))
	return err
}

// shellWord is a URL as it can be pasted into a shell.
func shellWord(url string) string {
	if strings.ContainsAny(url, "?&") {
		return "'" + url + "'"
	}
	return url
}

// sleep waits for d, or returns why it must not.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
