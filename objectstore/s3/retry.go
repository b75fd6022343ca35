package s3

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/cairnstream/cairn/objectstore"
)

const (
	// pauseFirst doubles with each try up to pauseMax; each pause is between
	// half and all of it, so that clients who failed together do not return
	// together.
	pauseFirst = 50 * time.Millisecond
	pauseMax   = 2 * time.Second
	// listTimeout bounds a try that moves few bytes.
	listTimeout = 30 * time.Second
	// slowest is the rate, in bytes a second, below which a try that moves
	// bytes is given up: the next one may meet a better connection.
	slowest = 1 << 20
)

// transferTimeout bounds a try that moves size bytes.
func transferTimeout(size int64) time.Duration {
	return listTimeout + time.Duration(min(size, objectBytesMax))*time.Second/slowest
}

// retry calls try until it succeeds, fails for good, or has failed
// Config.Tries times; the error is then the last one, in objectstore's words.
// Each call has timeout (0: none of its own).
func (b *Bucket) retry(ctx context.Context, timeout time.Duration, try func(context.Context) error) error {
	pause := pauseFirst
	for n := 1; ; n++ {
		err := once(ctx, timeout, try)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), translate(err))
		}
		if !transient(err) {
			return translate(err)
		}
		if n == b.config.Tries {
			return fmt.Errorf("tried %d times: %w", n, translate(err))
		}
		if err := sleep(ctx, pause/2+rand.N(pause/2)); err != nil {
			return err
		}
		pause = min(2*pause, pauseMax)
	}
}

func once(ctx context.Context, timeout time.Duration, try func(context.Context) error) error {
	if timeout == 0 {
		return try(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	return try(ctx)
}

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

// transient tells whether another try may succeed. A server that answered says
// so by its status; whatever kept it from answering may pass.
func transient(err error) bool {
	var permanent errPermanent
	var stopped errStopped
	if errors.As(err, &permanent) || errors.As(err, &stopped) {
		return false
	}
	answer := response(err)
	switch answer.Code {
	case "SlowDown", "RequestTimeout", "InternalError", "OperationAborted", "ConditionalRequestConflict", "BadDigest", "XAmzContentChecksumMismatch":
		return true
	}
	switch s := answer.StatusCode; {
	case s == http.StatusNotImplemented:
		return false
	case s == http.StatusTooManyRequests || s == http.StatusRequestTimeout || s >= 500:
		return true
	case s >= 300:
		return false
	}
	return !clientSide[answer.Code]
}

// clientSide are minio-go's own refusals of a request that it did not send.
var clientSide = map[string]bool{
	"InvalidArgument": true, "InvalidBucketName": true, "EntityTooLarge": true, "EntityTooSmall": true, "APINotSupported": true,
}

// errPermanent marks an error of ours that no retry heals, such as a caller's
// reader that fails.
type errPermanent struct{ error }

func (e errPermanent) Unwrap() error { return e.error }

// translate adds objectstore's word to what the server said.
func translate(err error) error {
	answer := response(err)
	switch {
	case answer.Code == "NoSuchBucket":
		return fmt.Errorf("%w: %w", objectstore.ErrNoBucket, err)
	case answer.Code == "NoSuchKey" || answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: %w", objectstore.ErrNotFound, err)
	}
	return err
}

// response is what the server answered, or minio-go in its place; zero if err
// is nil or of another kind.
func response(err error) minio.ErrorResponse {
	var answer minio.ErrorResponse
	errors.As(err, &answer)
	return answer
}
