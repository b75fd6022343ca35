package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/s3"
)

// server is an S3 server in whose way a test can put itself.
type server struct {
	config  s3.Config
	backend http.Handler

	mu        sync.Mutex
	requests  int                                           // guarded by mu
	intercept func(http.ResponseWriter, *http.Request) bool // true: answered; guarded by mu
}

func start(t *testing.T) *server {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("test"); err != nil {
		t.Fatal(err)
	}
	s := &server{backend: gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.config = s3.Config{Bucket: "test", Endpoint: web.URL, Tries: 3, Credentials: credentials.NewStaticV4("key", "very-secret", "")}
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	intercept := s.intercept
	s.mu.Unlock()
	if intercept == nil || !intercept(w, r) {
		s.backend.ServeHTTP(w, r)
	}
}

// on puts f into the way of the requests of this method and this part of a path,
// the first n of them, and returns the count of all requests from now on.
func (s *server) on(method, path string, n int, f func(http.ResponseWriter, *http.Request) bool) (requests func() int) {
	var mu sync.Mutex
	seen := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = 0
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		matches := r.Method == method && strings.Contains(r.URL.Path, path) && seen < n
		if matches {
			seen++
		}
		mu.Unlock()
		return matches && f(w, r)
	}
	return func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.requests
	}
}

// put puts f into the way of all requests.
func (s *server) put(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

func unavailable(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusServiceUnavailable)
	return true
}

// loseReply lets the server do the request and breaks the connection.
func (s *server) loseReply(w http.ResponseWriter, r *http.Request) bool {
	s.backend.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

func put(b objectstore.Bucket, key, data string, ifAbsent bool) error {
	return b.Put(context.Background(), key, []byte(data), objectstore.PutOptions{IfAbsent: ifAbsent})
}

func TestRetriesWithinItsBudget(t *testing.T) {
	s := start(t)
	b := open(t, s.config)
	requests := s.on("PUT", "/k", 2, unavailable)
	if err := put(b, "k", "x", false); err != nil || requests() != 3 {
		t.Errorf("two failures: %v after %d requests, want success after 3", err, requests())
	}
	requests = s.on("PUT", "/k", 99, unavailable)
	if err := put(b, "k", "x", false); err == nil || requests() != 3 {
		t.Errorf("only failures: %v after %d requests, want an error after 3", err, requests())
	}
	requests = s.on("GET", "/gone", 0, nil)
	if _, err := b.Get(t.Context(), "gone", 0, -1); !errors.Is(err, objectstore.ErrNotFound) || requests() != 1 {
		t.Errorf("missing: %v after %d requests, want ErrNotFound after 1", err, requests())
	}
}

func TestEndedContextEndsTheRetries(t *testing.T) {
	s := start(t)
	b := open(t, s.config)
	ctx, cancel := context.WithCancel(t.Context())
	requests := s.on("DELETE", "/k", 99, func(w http.ResponseWriter, r *http.Request) bool {
		cancel()
		return unavailable(w, r)
	})
	if err := b.Delete(ctx, "k"); !errors.Is(err, context.Canceled) || requests() != 1 {
		t.Errorf("%v after %d requests", err, requests())
	}
}

// The reply to our create is lost, and the retry is refused because of it.
func TestOwnEarlierTryIsNotAnotherWriter(t *testing.T) {
	s := start(t)
	b := open(t, s.config)
	s.on("PUT", "/k", 1, s.loseReply)
	if err := put(b, "k", "ours", true); err != nil {
		t.Errorf("put whose first reply was lost: %v", err)
	}
	s.on("PUT", "/k", 1, s.loseReply)
	if err := put(b, "k", "theirs", true); !errors.Is(err, objectstore.ErrExists) {
		t.Errorf("put of other bytes: %v", err)
	}
}

func TestConditionalPutSelfTest(t *testing.T) {
	ignore := func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("If-None-Match")
		return false
	}
	refuse := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotImplemented)
			return true
		}
		return false
	}
	honour := func(http.ResponseWriter, *http.Request) bool { return false }
	for name, c := range map[string]struct {
		server func(http.ResponseWriter, *http.Request) bool
		want   bool
	}{"honours": {honour, true}, "ignores": {ignore, false}, "refuses": {refuse, false}} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			b := open(t, s.config)
			s.on("PUT", "/", 99, c.server)
			if got, err := objectstore.HasConditionalPut(t.Context(), b); got != c.want || err != nil {
				t.Errorf("self-test says %v, %v", got, err)
			}
			err := errors.Join(put(b, "k", "one", true), put(b, "k", "one", true))
			if again := put(b, "k", "two", true); err != nil || !errors.Is(again, objectstore.ErrExists) {
				t.Errorf("if absent: %v, then %v", err, again)
			}
			if err := b.List(t.Context(), "cairn-selftest/", func(i objectstore.Info) error { return errors.New(i.Key) }); err != nil {
				t.Errorf("the self-test left %v", err)
			}
		})
	}
}

func TestConditionalPutUnknown(t *testing.T) {
	s := start(t)
	b := open(t, s.config)
	s.on("PUT", "/cairn-selftest/", 3, unavailable)
	if _, err := b.ConditionalPut(t.Context()); err == nil {
		t.Error("an answer without a server")
	}
	if ok, err := b.ConditionalPut(t.Context()); !ok || err != nil { // it is asked again
		t.Errorf("then %v, %v", ok, err)
	}
}

// half answers with half of the body and breaks the connection.
func (s *server) half(w http.ResponseWriter, r *http.Request) bool {
	whole := httptest.NewRecorder()
	s.backend.ServeHTTP(whole, r)
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(whole.Code)
	if _, err := w.Write(whole.Body.Bytes()[:whole.Body.Len()/2]); err != nil {
		panic(err)
	}
	panic(http.ErrAbortHandler)
}

func TestBrokenDownloads(t *testing.T) {
	s := start(t)
	b := open(t, s.config)
	data := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{9}).Read(data)
	if err := put(b, "k", string(data), false); err != nil {
		t.Fatal(err)
	}
	s.on("GET", "/k", 2, s.half)
	if got, err := b.Get(t.Context(), "k", 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("get: %d bytes, %v", len(got), err)
	}
	s.on("GET", "/k", 2, s.half)
	r, err := b.Reader(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read: %d bytes, %v", len(got), err)
	}
	s.on("GET", "/k", 99, s.half)
	r, err = b.Reader(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err == nil || !bytes.HasPrefix(data, got) {
		t.Errorf("read from a server that always breaks: %d bytes, %v", len(got), err)
	}
}

// A list that breaks between two pages goes on behind what was seen.
func TestListGoesOnAfterAFailure(t *testing.T) {
	s := start(t)
	b := open(t, s.config)
	const objects = 12
	for i := range objects {
		if err := put(b, fmt.Sprintf("d/%04d", i), "x", false); err != nil {
			t.Fatal(err)
		}
	}
	var lists atomic.Int64
	requests := s.on("GET", "/", 99, func(w http.ResponseWriter, r *http.Request) bool {
		r.URL.RawQuery += "&max-keys=5" // a small page
		return lists.Add(1) == 2 && unavailable(w, r)
	})
	next := 0
	err := b.List(t.Context(), "d/", func(i objectstore.Info) error {
		if want := fmt.Sprintf("d/%04d", next); i.Key != want {
			return fmt.Errorf("listed %s, want %s", i.Key, want)
		}
		next++
		return nil
	})
	if err != nil || next != objects || requests() < 4 {
		t.Errorf("%d objects in %d requests, %v", next, requests(), err)
	}
}

func TestParts(t *testing.T) {
	s := start(t)
	b := open(t, s.config)
	b.SetPartBytes(1000)
	data := make([]byte, 3500)
	rand.NewChaCha8([32]byte{5}).Read(data)
	s.on("PUT", "/k", 2, unavailable)
	if err := b.PutFile(t.Context(), "k", bytes.NewReader(data), 3500); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Get(t.Context(), "k", 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	s.on("POST", "/lost", 2, func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Query().Has("uploadId") && s.loseReply(w, r)
	})
	if err := b.PutFile(t.Context(), "lost", bytes.NewReader(data), 3500); err != nil {
		t.Errorf("the last reply was lost: %v", err)
	}
	var aborted atomic.Bool
	s.put(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "DELETE" && r.URL.Query().Has("uploadId") {
			aborted.Store(true)
		}
		return r.Method == "PUT" && unavailable(w, r)
	})
	if err := b.PutFile(t.Context(), "bad", bytes.NewReader(data), 3500); err == nil || !strings.Contains(err.Error(), "part 1") {
		t.Errorf("a part fails: %v", err)
	}
	if _, err := b.Get(t.Context(), "bad", 0, -1); !errors.Is(err, objectstore.ErrNotFound) || !aborted.Load() {
		t.Errorf("after a failed upload: %v, parts dropped: %v", err, aborted.Load())
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	s := start(t)
	missing := s.config
	missing.Bucket = "missing"
	forbidden := func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	anonymous := s.config
	anonymous.Credentials = credentials.NewStaticV4("", "", "")
	for _, c := range []struct {
		name, says string
		config     s3.Config
		fault      func(http.ResponseWriter, *http.Request) bool
		noBucket   bool
	}{
		{"missing bucket", "create it on " + s.config.Endpoint, missing, nil, true},
		{"forbidden", "credentials may not list it", s.config, forbidden, true},
		{"no credentials", "AWS_ACCESS_KEY_ID", anonymous, nil, true},
		{"server down", "tried 3 times", s.config, unavailable, false},
	} {
		if c.fault != nil {
			s.on("GET", "/", 99, c.fault)
		} else {
			s.on("GET", "/", 0, nil)
		}
		_, err := s3.Open(t.Context(), c.config)
		if err == nil || errors.Is(err, objectstore.ErrNoBucket) != c.noBucket || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%s: the error tells the secret", c.name)
		}
	}
}
