package faulty_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/faulty"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/objectstore/storetest"
)

func TestStoreWithoutRules(t *testing.T) {
	storetest.Run(t, func(*testing.T) objectstore.Bucket { return faulty.New(mem.New(), 1) })
}

func put(b objectstore.Bucket, key string) error {
	return b.Put(context.Background(), key, []byte("content"), objectstore.PutOptions{})
}

func has(t *testing.T, b objectstore.Bucket, key string) bool {
	t.Helper()
	_, err := objectstore.Stat(t.Context(), b, key)
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestFailNth(t *testing.T) {
	b := faulty.New(mem.New(), 1)
	rule := b.Add(faulty.Rule{Ops: faulty.Puts, Prefix: "a/", Nth: 2})
	for _, c := range []struct {
		key  string
		fail bool
	}{{"a/1", false}, {"b/1", false}, {"a/2", true}, {"a/3", false}} {
		err := put(b, c.key)
		if errors.Is(err, faulty.ErrInjected) != c.fail || has(t, b, c.key) == c.fail {
			t.Errorf("put %s: %v", c.key, err)
		}
	}
	if rule.Strikes() != 1 {
		t.Errorf("struck %d times", rule.Strikes())
	}
}

func TestTimesAndChance(t *testing.T) {
	const seed = 7
	b := faulty.New(mem.New(), seed)
	own := errors.New("own")
	limited := b.Add(faulty.Rule{Prefix: "t", Times: 3, Err: own})
	chance := b.Add(faulty.Rule{Prefix: "c", Chance: 0.5})
	for range 100 {
		if err := put(b, "t"); err != nil && !errors.Is(err, own) {
			t.Fatal(err)
		}
		if err := put(b, "c"); err != nil && !errors.Is(err, faulty.ErrInjected) {
			t.Fatal(err)
		}
	}
	if n := limited.Strikes(); n != 3 {
		t.Errorf("struck %d times, want 3", n)
	}
	if n := chance.Strikes(); n < 25 || n > 75 {
		t.Errorf("seed %d: struck %d of 100 by half a chance", seed, n)
	}
}

func TestLoseReply(t *testing.T) {
	b := faulty.New(mem.New(), 1)
	b.Add(faulty.Rule{Ops: faulty.Puts, Fault: faulty.LoseReply, Times: 1})
	if err := put(b, "k"); !errors.Is(err, faulty.ErrInjected) || !has(t, b, "k") {
		t.Errorf("error %v, there: %v", err, has(t, b, "k"))
	}
	b.Add(faulty.Rule{Ops: []faulty.Op{faulty.Reader}, Fault: faulty.LoseReply})
	if r, err := b.Reader(t.Context(), "k"); r != nil || !errors.Is(err, faulty.ErrInjected) {
		t.Errorf("reader %v, error %v", r, err)
	}
}

func TestStall(t *testing.T) {
	b := faulty.New(mem.New(), 1)
	rule := b.Add(faulty.Rule{Ops: faulty.Puts, Fault: faulty.Stall})
	done := make(chan error)
	go func() { done <- put(b, "k") }()
	<-rule.Struck()
	if has(t, b, "k") {
		t.Error("the put is done while it stalls")
	}
	rule.Lift()
	rule.Lift()
	if err := <-done; err != nil || !has(t, b, "k") {
		t.Errorf("after the stall: %v", err)
	}
	if err := put(b, "k2"); err != nil {
		t.Errorf("after the rule: %v", err)
	}
}

func TestStallEndsWithItsContext(t *testing.T) {
	b := faulty.New(mem.New(), 1)
	b.Add(faulty.Rule{Fault: faulty.Stall})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Delete(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestDamageIsNoticed(t *testing.T) {
	for _, fault := range []faulty.Fault{faulty.Flip, faulty.Truncate} {
		b := faulty.New(mem.New(), 1)
		if err := put(b, "k"); err != nil {
			t.Fatal(err)
		}
		b.Add(faulty.Rule{Ops: faulty.Gets, Fault: fault})
		ref := objectstore.Ref{Key: "k", Length: 7, CRC32C: objectstore.CRC32C([]byte("content"))}
		if data, err := objectstore.ReadRef(t.Context(), b, ref); !errors.Is(err, objectstore.ErrCorrupt) || data != nil {
			t.Errorf("fault %d: %q, %v", fault, data, err)
		}
		r, err := b.Reader(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(r); err != nil || string(data) == "content" {
			t.Errorf("fault %d: read %q, %v", fault, data, err)
		}
	}
}
