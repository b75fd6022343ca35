package s3_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/s3"
	"github.com/cairnstream/cairn/objectstore/storetest"
)

// fake starts an S3 server in this process, with one bucket.
func fake(t *testing.T) s3.Config {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("test"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	return s3.Config{Bucket: "test", Endpoint: server.URL, Credentials: credentials.NewStaticV4("key", "secret", "")}
}

func open(t *testing.T, c s3.Config) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestStoreOnFake(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objectstore.Bucket { return open(t, fake(t)) })
}

func TestStoreWithPrefix(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objectstore.Bucket {
		c := fake(t)
		c.Prefix = strings.Repeat("team/", 3) + "cairn"
		return open(t, c)
	})
}
