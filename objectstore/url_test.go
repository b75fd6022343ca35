package objectstore_test

import (
	"testing"

	"github.com/cairnstream/cairn/objectstore"
)

func TestJoinURL(t *testing.T) {
	for _, c := range []struct{ bucket, key, want string }{
		{"file:///var/lib/bucket", "c/savepoints/j/1-x/", "file:///var/lib/bucket/c/savepoints/j/1-x/"},
		{"file:///var/lib/bucket/", "c/m", "file:///var/lib/bucket/c/m"},
		{"s3://bucket/prefix?endpoint=http%3A%2F%2F10.0.0.7%3A9000", "c/m", "s3://bucket/prefix/c/m?endpoint=http%3A%2F%2F10.0.0.7%3A9000"},
		{"s3://bucket", "c/m", "s3://bucket/c/m"},
		{"mem://name", "f/", "mem://name/f/"},
	} {
		if got := objectstore.JoinURL(c.bucket, c.key); got != c.want {
			t.Errorf("%s and %s: got %s, want %s", c.bucket, c.key, got, c.want)
		}
	}
}
