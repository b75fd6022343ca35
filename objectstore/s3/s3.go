package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/cairnstream/cairn/objectstore"
)

const (
	// connectionsMax is how many connections are kept for the next request: as
	// many as a busy task process has uploads in flight, so that none pays for
	// a new handshake.
	connectionsMax = 64
	// headerTimeout ends a try whose server has taken the request and says
	// nothing.
	headerTimeout = 20 * time.Second
)

// Bucket is a bucket, or a prefix in one, on an S3 server.
type Bucket struct {
	config    Config
	prefix    string // "" or ends in "/"
	core      minio.Core
	transport *http.Transport
	partBytes int64 // of an upload in parts; tests make it small

	mu          sync.Mutex
	conditional *bool // the self-test's answer; guarded by mu
}

var _ objectstore.Bucket = (*Bucket)(nil)

// Open opens the bucket after asking the server whether it is there and may be
// used; if not, the error is objectstore.ErrNoBucket and says what to do.
func Open(ctx context.Context, c Config) (*Bucket, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("open s3://%s: %w", c.Bucket, err)
	}
	b, err := newBucket(c)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.url(), err)
	}
	if err := b.probe(ctx); err != nil {
		return nil, fmt.Errorf("open %s: %w", c.url(), errors.Join(err, b.Close()))
	}
	return b, nil
}

func newBucket(c Config) (*Bucket, error) {
	if err := checkCredentials(c.Credentials); err != nil {
		return nil, err
	}
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	secure := endpoint.Scheme == "https"
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	transport.MaxIdleConnsPerHost, transport.ResponseHeaderTimeout = connectionsMax, headerTimeout
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds: c.Credentials, Secure: secure, Transport: transport, Region: c.Region, BucketLookup: c.Lookup,
		MaxRetries:      1,    // the retries are ours
		TrailingHeaders: true, // else minio-go refuses the checksums that we send as plain headers
	})
	if err != nil {
		return nil, err
	}
	b := &Bucket{config: c, core: minio.Core{Client: client}, transport: transport, partBytes: partBytes}
	if c.Prefix != "" {
		b.prefix = c.Prefix + "/"
	}
	return b, nil
}

// checkCredentials makes sure that there are some: without, minio-go would send
// anonymous requests, whose refusal tells nobody what is wrong.
func checkCredentials(c *credentials.Credentials) error {
	value, err := c.GetWithContext(nil)
	if err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	if value.AccessKeyID == "" || value.SecretAccessKey == "" {
		return fmt.Errorf("%w: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in the AWS files",
			objectstore.ErrNoBucket)
	}
	return nil
}

// probe lists at most one object: unlike a HEAD, the refusal of a list says why.
func (b *Bucket) probe(ctx context.Context) error {
	err := b.retry(ctx, listTimeout, func(ctx context.Context) error {
		for info := range b.core.ListObjectsIter(ctx, b.config.Bucket, minio.ListObjectsOptions{Prefix: b.prefix, Recursive: true, MaxKeys: 1}) {
			return info.Err
		}
		return nil
	})
	switch answer := response(err); {
	case err == nil:
		return nil
	case errors.Is(err, objectstore.ErrNoBucket):
		return fmt.Errorf("%w; create it on %s, or correct the name", err, b.config.Endpoint)
	case answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: the credentials may not list it: %w", objectstore.ErrNoBucket, err)
	}
	return err
}

// URL implements objectstore.Bucket. It can be opened again.
func (b *Bucket) URL() string { return b.config.url() }

// Close implements objectstore.Bucket.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// key is the whole name of key in the server's bucket.
func (b *Bucket) key(key string) (string, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return "", err
	}
	return b.prefix + key, nil
}

// Copy implements objectstore.Bucket: the server copies.
func (b *Bucket) Copy(ctx context.Context, dst, src string) error {
	to, err := b.key(dst)
	if err != nil {
		return err
	}
	from, err := b.key(src)
	if err != nil {
		return err
	}
	err = b.retry(ctx, transferTimeout(objectBytesMax), func(ctx context.Context) error {
		_, err := b.core.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: b.config.Bucket, Object: to},
			minio.CopySrcOptions{Bucket: b.config.Bucket, Object: from})
		return err
	})
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	return nil
}

// Delete implements objectstore.Bucket.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	whole, err := b.key(key)
	if err != nil {
		return err
	}
	err = b.retry(ctx, listTimeout, func(ctx context.Context) error {
		return b.core.RemoveObject(ctx, b.config.Bucket, whole, minio.RemoveObjectOptions{})
	})
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// errStopped carries the callback's own error out of a List: it is not retried.
type errStopped struct{ error }

func (e errStopped) Unwrap() error { return e.error }

// List implements objectstore.Bucket. After a failure it goes on behind the
// last object that f has seen.
func (b *Bucket) List(ctx context.Context, prefix string, f func(objectstore.Info) error) error {
	if err := objectstore.CheckPrefix(prefix); err != nil {
		return err
	}
	last := ""
	err := b.retry(ctx, 0, func(ctx context.Context) error {
		options := minio.ListObjectsOptions{Prefix: b.prefix + prefix, Recursive: true, StartAfter: last}
		for o := range b.core.ListObjectsIter(ctx, b.config.Bucket, options) {
			if o.Err != nil {
				return o.Err
			}
			if strings.HasSuffix(o.Key, "/") {
				continue // a folder's marker, which a console makes
			}
			info := objectstore.Info{Key: strings.TrimPrefix(o.Key, b.prefix), Size: o.Size, Modified: o.LastModified}
			if err := f(info); err != nil {
				return errStopped{err}
			}
			last = o.Key
		}
		return ctx.Err()
	})
	var stopped errStopped
	if errors.As(err, &stopped) {
		return stopped.error
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", prefix, err)
	}
	return nil
}
