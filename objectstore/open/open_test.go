package open_test

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

// clean takes the variables away that a person's shell may have.
func clean(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"CAIRN_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
	} {
		t.Setenv(name, "")
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
	t.Setenv("AWS_CONFIG_FILE", nowhere)
}

func TestFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space")
	u := (&url.URL{Scheme: "file", Path: dir}).String()
	if _, err := open.Open(t.Context(), u, open.Options{}); !errors.Is(err, objectstore.ErrNoBucket) {
		t.Errorf("missing folder: %v", err)
	}
	b, err := open.Open(t.Context(), u, open.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if b.URL() != u {
		t.Errorf("URL %s, want %s", b.URL(), u)
	}
}

func TestMem(t *testing.T) {
	a, err := open.Open(t.Context(), "mem://shared", open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := open.Open(t.Context(), "mem://shared", open.Options{})
	if err != nil || a != b {
		t.Errorf("another bucket, %v", err)
	}
}

func TestS3(t *testing.T) {
	clean(t)
	backend := s3mem.New()
	if err := backend.CreateBucket("test"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	if _, err := open.Open(t.Context(), "s3://test/p", open.Options{}); !errors.Is(err, objectstore.ErrNoBucket) {
		t.Errorf("without credentials: %v", err)
	}
	file := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = key\naws_secret_access_key = very-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CAIRN_S3_ENDPOINT", server.URL)
	b, err := open.Open(t.Context(), "s3://test/p/q?path_style=true", open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "k", []byte("x"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.URL(), "secret") || strings.Contains(b.URL(), "key") {
		t.Errorf("URL %s tells credentials", b.URL())
	}
	// The URL alone leads there: another machine's environment may differ.
	t.Setenv("CAIRN_S3_ENDPOINT", "")
	again, err := open.Open(t.Context(), b.URL(), open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Get(t.Context(), "k", 0, -1); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	view := objectstore.Prefixed(b, "view/")
	if want := "s3://test/p/q/view?"; !strings.HasPrefix(view.URL(), want) {
		t.Errorf("URL of a view %s, want %s…", view.URL(), want)
	}
}

func TestBadURLs(t *testing.T) {
	clean(t)
	for _, u := range []string{
		"", "/var/lib", "http://bucket", "file://", "file://relative/path", "file:///x?y=z", "mem://", "mem://a/b",
		"s3://", "s3:///prefix", "s3://b?unknown=hidden", "s3://b?endpoint=127.0.0.1:9000", "s3://b?endpoint=ftp://x",
		"s3://b?path_style=maybe", "s3://b/a//b", "s3://b/sp%20ace", "s3://key:hidden@b/p", "s3://b?endpoint=http://u:hidden@x", "s3://%zz:hidden@b",
	} {
		_, err := open.Open(t.Context(), u, open.Options{Create: true})
		if !errors.Is(err, open.ErrURL) || !errors.Is(open.Check(u), open.ErrURL) {
			t.Errorf("%q: open: %v, check: %v", u, err, open.Check(u))
		}
		if err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: the error repeats a secret: %v", u, err)
		}
	}
	for _, u := range []string{"file:///x", "mem://x", "s3://b", "s3://b/p?endpoint=https://h:1&region=eu-1&path_style=false"} {
		if err := open.Check(u); err != nil {
			t.Errorf("%q: %v", u, err)
		}
	}
}
