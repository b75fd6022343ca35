// Package faulty makes a Bucket misbehave as real stores do, on a plan: a
// request fails, stands still, has its effect but loses its reply, or a read
// brings wrong bytes. Tests put it around another Bucket.
//
//	b := faulty.New(mem.New(), 42)
//	b.Add(faulty.Rule{Ops: faulty.Puts, Prefix: "c/jobs/", Nth: 3, Fault: faulty.LoseReply})
//	stall := b.Add(faulty.Rule{Ops: faulty.Puts, Fault: faulty.Stall})
//	<-stall.Struck() // a put stands still
//	stall.Lift()
package faulty

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/cairnstream/cairn/objectstore"
)

// ErrInjected is returned by a request that a rule made fail.
var ErrInjected = errors.New("injected fault")

// Op is a kind of request.
type Op int

// The requests of a Bucket.
const (
	Put Op = iota
	PutFile
	Get
	Reader
	Copy
	Delete
	List
)

var (
	// Puts are the requests that store bytes.
	Puts = []Op{Put, PutFile}
	// Gets are the requests that return bytes.
	Gets = []Op{Get, Reader}
)

// Fault is what happens to a request that a rule strikes.
type Fault int

const (
	// Fail returns Rule.Err, and the store never sees the request.
	Fail Fault = iota
	// LoseReply lets the store do the request and returns Rule.Err.
	LoseReply
	// Stall holds the request until the rule is lifted or the context ends; then
	// the store does it.
	Stall
	// Flip turns one bit of what a Get or Reader returns.
	Flip
	// Truncate drops the last byte of what a Get or Reader returns.
	Truncate
)

// Rule says which requests are struck, and how. The zero value of a field
// that selects means all.
type Rule struct {
	Ops    []Op
	Prefix string // of the key; of a Copy, of its destination
	// Nth strikes the nth matching request only, counted from 1 by this rule.
	Nth int
	// Times strikes at most so many requests.
	Times int
	// Chance, between 0 and 1, strikes by the bucket's seed.
	Chance float64
	Fault  Fault
	// Err is what Fail and LoseReply return. Default: ErrInjected.
	Err error
}

// Active is a rule at work.
type Active struct {
	rule   Rule
	struck chan struct{} // closed at the first strike
	lifted chan struct{} // closed by Lift
	lift   sync.Once

	bucket  *Bucket
	matched int // guarded by bucket.mu
	strikes int // guarded by bucket.mu
}

// Struck is closed when the rule has struck for the first time.
func (a *Active) Struck() <-chan struct{} { return a.struck }

// Strikes is how many requests the rule has struck.
func (a *Active) Strikes() int {
	a.bucket.mu.Lock()
	defer a.bucket.mu.Unlock()
	return a.strikes
}

// Lift ends the rule and releases what it holds. It may be called twice.
func (a *Active) Lift() {
	a.lift.Do(func() {
		a.bucket.mu.Lock()
		defer a.bucket.mu.Unlock()
		a.bucket.rules = slices.DeleteFunc(a.bucket.rules, func(b *Active) bool { return a == b })
		close(a.lifted)
	})
}

// Bucket is a bucket with faults. Without rules it is the bucket below.
type Bucket struct {
	below objectstore.Bucket

	mu     sync.Mutex
	random *rand.Rand // guarded by mu
	rules  []*Active  // guarded by mu
}

var _ objectstore.Bucket = (*Bucket)(nil)

// New wraps below. The seed decides all chances; a test prints it.
func New(below objectstore.Bucket, seed uint64) *Bucket {
	return &Bucket{below: below, random: rand.New(rand.NewPCG(seed, seed))}
}

// Add puts a rule to work, behind those that are there: the first one that
// strikes a request decides.
func (b *Bucket) Add(r Rule) *Active {
	if r.Err == nil {
		r.Err = ErrInjected
	}
	a := &Active{rule: r, bucket: b, struck: make(chan struct{}), lifted: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = append(b.rules, a)
	return a
}

// strike returns the rule that strikes this request, or nil.
func (b *Bucket) strike(op Op, key string) *Active {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.rules {
		if a.matchesLocked(op, key) && a.dueLocked(b.random) {
			if a.strikes++; a.strikes == 1 {
				close(a.struck)
			}
			return a
		}
	}
	return nil
}

func (a *Active) matchesLocked(op Op, key string) bool {
	return (len(a.rule.Ops) == 0 || slices.Contains(a.rule.Ops, op)) && strings.HasPrefix(key, a.rule.Prefix)
}

func (a *Active) dueLocked(random *rand.Rand) bool {
	a.matched++
	switch {
	case a.rule.Nth > 0 && a.matched != a.rule.Nth, a.rule.Times > 0 && a.strikes >= a.rule.Times:
		return false
	}
	return a.rule.Chance == 0 || random.Float64() < a.rule.Chance
}

// around does a request under the rules and returns the rule whose fault
// concerns the bytes that the request returned, if any.
func (b *Bucket) around(ctx context.Context, op Op, key string, request func() error) (*Active, error) {
	a := b.strike(op, key)
	if a == nil {
		return nil, request()
	}
	switch a.rule.Fault {
	case Fail:
		return nil, a.rule.Err
	case LoseReply:
		return nil, errors.Join(a.rule.Err, request())
	case Stall:
		select {
		case <-a.lifted:
			return nil, request()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return a, request()
}

// Put implements objectstore.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, data []byte, opts objectstore.PutOptions) error {
	_, err := b.around(ctx, Put, key, func() error { return b.below.Put(ctx, key, data, opts) })
	return err
}

// PutFile implements objectstore.Bucket.
func (b *Bucket) PutFile(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	_, err := b.around(ctx, PutFile, key, func() error { return b.below.PutFile(ctx, key, r, size) })
	return err
}

// Get implements objectstore.Bucket.
func (b *Bucket) Get(ctx context.Context, key string, offset, length int64) (data []byte, err error) {
	a, err := b.around(ctx, Get, key, func() (err error) {
		data, err = b.below.Get(ctx, key, offset, length)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.damage(data), nil
}

// Reader implements objectstore.Bucket.
func (b *Bucket) Reader(ctx context.Context, key string) (r io.ReadCloser, err error) {
	a, err := b.around(ctx, Reader, key, func() (err error) {
		r, err = b.below.Reader(ctx, key)
		return err
	})
	if err != nil && r != nil { // its reply is lost
		return nil, errors.Join(err, r.Close())
	}
	if err != nil || a == nil {
		return r, err
	}
	return a.damageStream(r)
}

// Copy implements objectstore.Bucket.
func (b *Bucket) Copy(ctx context.Context, dst, src string) error {
	_, err := b.around(ctx, Copy, dst, func() error { return b.below.Copy(ctx, dst, src) })
	return err
}

// Delete implements objectstore.Bucket.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	_, err := b.around(ctx, Delete, key, func() error { return b.below.Delete(ctx, key) })
	return err
}

// List implements objectstore.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string, f func(objectstore.Info) error) error {
	_, err := b.around(ctx, List, prefix, func() error { return b.below.List(ctx, prefix, f) })
	return err
}

// URL implements objectstore.Bucket.
func (b *Bucket) URL() string { return b.below.URL() }

// Close closes the bucket below.
func (b *Bucket) Close() error { return b.below.Close() }

// ConditionalPut asks the bucket below.
func (b *Bucket) ConditionalPut(ctx context.Context) (bool, error) {
	return objectstore.HasConditionalPut(ctx, b.below)
}
