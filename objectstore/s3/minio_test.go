package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/cairnstream/cairn/internal/miniotest"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/s3"
	"github.com/cairnstream/cairn/objectstore/storetest"
)

// TestMinIO runs everything that needs a real server, on one server.
func TestMinIO(t *testing.T) {
	if testing.Short() {
		t.Log("left out by -short: the suite on a real MinIO server")
		return
	}
	server := miniotest.Start(t)
	var buckets atomic.Int64
	fresh := func(t *testing.T) s3.Config {
		name := fmt.Sprintf("test-%d", buckets.Add(1))
		if err := server.MakeBucket(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		return s3.Config{Bucket: name, Endpoint: server.Endpoint, Credentials: server.Credentials()}
	}
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) objectstore.Bucket { return open(t, fresh(t)) })
	})
	t.Run("suite with a prefix", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) objectstore.Bucket {
			c := fresh(t)
			c.Prefix = "team/cairn"
			return open(t, c)
		})
	})
	t.Run("conditional put", func(t *testing.T) {
		if ok, err := open(t, fresh(t)).ConditionalPut(t.Context()); !ok || err != nil {
			t.Errorf("self-test: %v, %v", ok, err)
		}
	})
	t.Run("parts", func(t *testing.T) { putInParts(t, open(t, fresh(t))) })
	t.Run("wrong credentials", func(t *testing.T) {
		c := fresh(t)
		c.Credentials = credentials.NewStaticV4(server.AccessKey, "wrong", "")
		_, err := s3.Open(t.Context(), c)
		if !errors.Is(err, objectstore.ErrNoBucket) || !strings.Contains(err.Error(), "signature") {
			t.Errorf("open: %v", err)
		}
	})
	t.Run("wrong checksum", func(t *testing.T) { wrongChecksum(t, fresh(t), server) })
}

func putInParts(t *testing.T, b *s3.Bucket) {
	const part = 5 << 20 // the least that S3 takes
	b.SetPartBytes(part)
	data := make([]byte, 2*part+12345)
	rand.NewChaCha8([32]byte{6}).Read(data)
	if err := b.PutFile(t.Context(), "files/large", bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Get(t.Context(), "files/large", 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := b.Get(t.Context(), "files/large", part-5, 10); err != nil || !bytes.Equal(got, data[part-5:part+5]) {
		t.Errorf("%d bytes over the seam of two parts, %v", len(got), err)
	}
	if err := b.Copy(t.Context(), "copy", "files/large"); err != nil {
		t.Error(err)
	}
}

// wrongChecksum flips a bit on the way to the server, which has to notice it by
// the checksum that we send: the payload is not signed.
func wrongChecksum(t *testing.T, c s3.Config, server *miniotest.Server) {
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var damaged atomic.Int64
	proxy := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
		if r.In.Method == http.MethodPut && damaged.Add(1) == 1 {
			r.Out.Body = flipped{r.In.Body}
		}
	}}
	web := httptest.NewServer(&proxy)
	t.Cleanup(web.Close)
	c.Endpoint = web.URL
	b := open(t, c)
	if err := b.Put(t.Context(), "k", []byte("content"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err) // the retry succeeds
	}
	if got, err := b.Get(t.Context(), "k", 0, -1); err != nil || string(got) != "content" || damaged.Load() != 2 {
		t.Errorf("%q after %d tries, %v: want the content after 2", got, damaged.Load(), err)
	}
}

// flipped damages what is read.
type flipped struct{ io.ReadCloser }

func (f flipped) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	for i := range n {
		p[i] ^= 1
	}
	return n, err
}
