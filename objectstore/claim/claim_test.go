package claim_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/claim"
	"github.com/cairnstream/cairn/objectstore/faulty"
	"github.com/cairnstream/cairn/objectstore/mem"
)

var (
	ours   = claim.Fingerprint{Cluster: "ours", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	theirs = claim.Fingerprint{Cluster: "theirs", Created: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)}
)

func TestClaim(t *testing.T) {
	b := mem.New()
	if _, err := claim.Read(t.Context(), b); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("nobody's bucket: %v", err)
	}
	for range 2 {
		if err := claim.Claim(t.Context(), b, ours, claim.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []claim.Options{{}, {AssumeExclusive: true}} {
		err := claim.Claim(t.Context(), b, theirs, o)
		if !errors.Is(err, claim.ErrClaimed) {
			t.Fatalf("%+v: %v", o, err)
		}
		for _, part := range []string{"ours (created 2026-01-02T03:04:05Z)", "theirs (created 2026-02-03T04:05:06Z)", "another bucket or prefix", b.URL()} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	}
	if owner, err := claim.Read(t.Context(), b); err != nil || owner != ours {
		t.Errorf("owner %v, %v", owner, err)
	}
}

func TestOneOfManyClusters(t *testing.T) {
	b := mem.New()
	const clusters = 10
	errs := make([]error, clusters)
	var wg sync.WaitGroup
	for i := range clusters {
		wg.Go(func() {
			errs[i] = claim.Claim(t.Context(), b, claim.Fingerprint{Cluster: fmt.Sprint("c", i)}, claim.Options{})
		})
	}
	wg.Wait()
	owner, err := claim.Read(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		if won := owner.Cluster == fmt.Sprint("c", i); won != (err == nil) || !won && !errors.Is(err, claim.ErrClaimed) {
			t.Errorf("cluster %d, owner %s: %v", i, owner.Cluster, err)
		}
	}
}

// careless is a store whose conditional put can't be trusted.
type careless struct {
	objectstore.Bucket
	err error
}

func (c careless) ConditionalPut(context.Context) (bool, error) { return false, c.err }

func TestStoreWithoutConditionalPut(t *testing.T) {
	b := careless{Bucket: mem.New()}
	err := claim.Claim(t.Context(), b, ours, claim.Options{})
	if !errors.Is(err, claim.ErrUnsafe) || !strings.Contains(err.Error(), "--assume-exclusive") {
		t.Errorf("without the operator's word: %v", err)
	}
	if err := claim.Claim(t.Context(), b, ours, claim.Options{AssumeExclusive: true}); err != nil {
		t.Errorf("with it: %v", err)
	}
	if err := claim.Claim(t.Context(), b, ours, claim.Options{}); err != nil {
		t.Errorf("ours already: %v", err) // no create, no word needed
	}
	unknown := careless{Bucket: mem.New(), err: errors.New("server down")}
	if err := claim.Claim(t.Context(), unknown, ours, claim.Options{}); !errors.Is(err, unknown.err) {
		t.Errorf("self-test fails: %v", err)
	}
}

func TestReplyLost(t *testing.T) {
	b := faulty.New(mem.New(), 1)
	b.Add(faulty.Rule{Ops: faulty.Puts, Fault: faulty.LoseReply, Times: 1})
	if err := claim.Claim(t.Context(), b, ours, claim.Options{}); !errors.Is(err, faulty.ErrInjected) {
		t.Fatal(err)
	}
	if err := claim.Claim(t.Context(), b, ours, claim.Options{}); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestDamagedClaimIsNobodys(t *testing.T) {
	for _, data := range []string{"", "{", `{"format":2,"cluster":"ours"}`, `{"format":1}`} {
		b := mem.New()
		if err := b.Put(t.Context(), claim.Key, []byte(data), objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := claim.Claim(t.Context(), b, ours, claim.Options{}); !errors.Is(err, objectstore.ErrCorrupt) {
			t.Errorf("%q: %v", data, err)
		}
	}
}
