// Package open turns the URL of an object store into a Bucket.
//
//	file:///var/lib/cairn/bucket                     a folder
//	s3://bucket/prefix                               Amazon S3
//	s3://bucket/prefix?endpoint=http://10.0.0.7:9000 MinIO or any other S3 server
//	mem://name                                       this process's memory
//
// A URL never has credentials in it: they come from the environment or the
// usual AWS files of whoever opens it, so that it can be committed, sent and
// logged.
package open

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/objectstore/s3"
)

// ErrURL is returned for what is no object store's URL.
var ErrURL = errors.New("bad object store URL")

// Options choose how Open behaves.
type Options struct {
	// Create makes the folder of a file:// URL when it does not exist. A bucket
	// of S3 is never created.
	Create bool
}

// Open opens the bucket at rawURL. A bucket or folder that does not exist, or
// may not be used, is objectstore.ErrNoBucket, with what to do in the text.
// For S3 this asks the server once.
func Open(ctx context.Context, rawURL string, opts Options) (objectstore.Bucket, error) {
	u, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "file":
		return openFile(u, opts)
	case "mem":
		return mem.Open(u.Host), nil
	default:
		return openS3(ctx, u)
	}
}

// Check reports what is wrong with rawURL without opening it, or nil.
func Check(rawURL string) error {
	u, err := parse(rawURL)
	if err != nil {
		return err
	}
	if u.Scheme == "s3" {
		_, err = configS3(u)
	}
	return err
}

// parse checks what all schemes share. No message repeats a user part, which
// may be a secret.
func parse(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) { // its own text repeats the URL
			err = inner.Err
		}
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	if u.User != nil {
		return nil, fmt.Errorf("%w: it has a user or credentials in it: give those by AWS_ACCESS_KEY_ID and"+
			" AWS_SECRET_ACCESS_KEY or the usual AWS files", ErrURL)
	}
	switch u.Scheme {
	case "file":
		return u, checkFile(u)
	case "mem":
		return u, checkMem(u)
	case "s3":
		return u, nil
	}
	return nil, fmt.Errorf("%w: %q: want file:///path, s3://bucket/prefix or mem://name", ErrURL, rawURL)
}

func checkFile(u *url.URL) error {
	if u.Host != "" && u.Host != "localhost" || !strings.HasPrefix(u.Path, "/") || u.RawQuery != "" {
		return fmt.Errorf("%w: %q: want file:// and an absolute path, such as file:///var/lib/cairn/bucket", ErrURL, u)
	}
	return nil
}

func checkMem(u *url.URL) error {
	if u.Host == "" || u.Path != "" || u.RawQuery != "" {
		return fmt.Errorf("%w: %q: want mem://name", ErrURL, u)
	}
	return nil
}

// openFile keeps a nil *file.Bucket out of the interface.
func openFile(u *url.URL, opts Options) (objectstore.Bucket, error) {
	b, err := file.Open(u.Path, file.Options{Create: opts.Create})
	if err != nil {
		return nil, err
	}
	return b, nil
}

func configS3(u *url.URL) (s3.Config, error) {
	config, err := s3.ParseURL(u)
	if err != nil {
		return s3.Config{}, fmt.Errorf("%w: %w", ErrURL, err)
	}
	return config, nil
}

// openS3 keeps a nil *s3.Bucket out of the interface.
func openS3(ctx context.Context, u *url.URL) (objectstore.Bucket, error) {
	config, err := configS3(u)
	if err != nil {
		return nil, err
	}
	b, err := s3.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	return b, nil
}
