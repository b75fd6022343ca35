package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
)

// selfTestPrefix begins the names of the objects that a self-test makes and
// removes.
const selfTestPrefix = "cairn-selftest/"

// ConditionalPut tells whether the server honours If-None-Match: *. It finds
// out once by creating an object twice, and remembers the answer; an error
// means that it could not find out, and the next call tries again.
func (b *Bucket) ConditionalPut(ctx context.Context) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conditional != nil {
		return *b.conditional, nil
	}
	honoured, err := b.selfTest(ctx)
	if err != nil {
		return false, fmt.Errorf("self-test of the conditional put: %w", err)
	}
	b.conditional = &honoured
	return honoured, nil
}

func (b *Bucket) selfTest(ctx context.Context) (honoured bool, err error) {
	key := selfTestPrefix + rand.Text()
	defer func() { err = errors.Join(err, b.Delete(context.WithoutCancel(ctx), key)) }()
	err = b.putBytes(ctx, b.prefix+key, []byte("first"), true)
	switch {
	case notImplemented(err):
		return false, nil
	case err != nil && !refused(err): // a refusal is our own try, whose reply was lost
		return false, err
	}
	err = b.putBytes(ctx, b.prefix+key, []byte("second"), true)
	switch {
	case refused(err):
		return true, nil
	case err == nil || notImplemented(err):
		return false, nil
	}
	return false, err
}

// notImplemented tells whether the server refuses the header itself.
func notImplemented(err error) bool {
	r := response(err)
	return err != nil && (r.StatusCode == http.StatusNotImplemented || r.StatusCode == http.StatusBadRequest)
}
