package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/wire"
)

const (
	// garbageListedMax bounds how many objects one answer names; the sums are of all.
	garbageListedMax = 10_000
	// garbageMax bounds how many objects one call deletes, and with it what it holds in
	// memory: some ten megabytes. Another call takes the rest.
	garbageMax = 100_000
)

// WhyObject tells what an object of the bucket is for: by key, or by URL.
func (s controlService) WhyObject(ctx context.Context, r *wire.WhyObjectRequest) (*wire.WhyObjectResponse, error) {
	l, err := s.reading(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	key, err := keyOf(r.Key, l.bucket.URL())
	if err != nil {
		return nil, statusOf(err)
	}
	n := parseName(l.cluster(), key)
	response := &wire.WhyObjectResponse{Kind: n.kind, Job: string(n.job)}
	for _, reason := range l.reasonsOf(n, key) {
		response.Reasons = append(response.Reasons, &wire.ObjectReason{Job: string(reason.job), Checkpoint: uint64(reason.checkpoint), Why: reason.why})
	}
	if len(response.Reasons) > 0 {
		return response, nil
	}
	info, exists, err := l.stat(ctx, key)
	if err != nil {
		return nil, statusOf(fmt.Errorf("look for %s: %w", key, err))
	}
	v := l.judge(info)
	switch {
	case !exists:
		response.Fate = "there is no such object in the bucket"
	case v.garbage:
		response.Fate = v.why + ": the background sweep deletes it, `cairn gc` at once"
	default:
		response.Fate = v.why
	}
	return response, nil
}

// keyOf is the key that a person gave: as it is, or at the end of the bucket's URL or of
// any other. A URL's query says how to reach a store, and not what is in it.
func keyOf(given, bucket string) (string, error) {
	if !strings.Contains(given, "://") {
		return strings.TrimPrefix(given, "/"), nil
	}
	g, err := url.Parse(given)
	if err != nil {
		return "", fmt.Errorf("object %q: %w: %w; give the key, as cairn checkpoint show names it", given, errInvalid, err)
	}
	b, err := url.Parse(bucket)
	if err != nil {
		return "", fmt.Errorf("the cluster's bucket %q: %w", bucket, err)
	}
	rest, inside := strings.CutPrefix(g.Path, strings.TrimSuffix(b.Path, "/")+"/")
	if g.Scheme != b.Scheme || g.Host != b.Host || !inside {
		return "", fmt.Errorf("object %q is not in the cluster's bucket %s: %w; give its key, or its URL in that bucket", given, bucket, errInvalid)
	}
	return rest, nil
}

// errFound ends a listing.
var errFound = errors.New("found")

// stat looks for an object by a listing, which needs no right that the cluster does not use.
func (l *leader) stat(ctx context.Context, key string) (info objectstore.Info, exists bool, err error) {
	info.Key = key
	err = l.bucket.List(ctx, key, func(i objectstore.Info) error {
		if exists = i.Key == key; exists {
			info = i
		}
		return errFound // what begins with the key and is longer comes behind it
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return info, exists, err
}

// CollectGarbage lists the objects that nothing needs, and deletes them unless it is a
// dry run. It judges as the background sweep does, and needs no lock with it.
func (s controlService) CollectGarbage(ctx context.Context, r *wire.CollectGarbageRequest) (*wire.CollectGarbageResponse, error) {
	l, err := s.reading(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	if r.GraceMs < 0 {
		return nil, statusOf(fmt.Errorf("grace time %d ms: %w: give one of 0 or more", r.GraceMs, errInvalid))
	}
	found, response, err := l.findGarbage(ctx, time.Duration(r.GraceMs)*time.Millisecond)
	if err == nil && !r.DryRun {
		response.Deleted, err = l.deleteGarbage(ctx, found)
		l.passed(StepDeleteGarbage)
		l.wakeCollector() // it has the ledger forget what was marked
	}
	if err != nil {
		return nil, statusOf(fmt.Errorf("collect garbage: %w", err))
	}
	return response, nil
}

// findGarbage lists the cluster's objects and judges each, by a state that is no older
// than the list.
func (l *leader) findGarbage(ctx context.Context, grace time.Duration) (found []string, response *wire.CollectGarbageResponse, err error) {
	response = &wire.CollectGarbageResponse{}
	now := time.Now()
	err = l.bucket.List(ctx, l.cluster()+"/", func(info objectstore.Info) error {
		v := l.judge(info)
		young := v.garbage && now.Sub(info.Modified) < grace
		waits := !v.garbage && l.unneeded(info.Key)
		switch {
		case young:
			v.why += fmt.Sprintf("; younger than %v", grace)
			response.Left++
		case waits:
			response.Left++
		case v.garbage && len(found) < garbageMax:
			found = append(found, info.Key)
			response.Garbage++
			response.Bytes += info.Size
		default:
			return nil
		}
		if len(response.Objects) < garbageListedMax {
			response.Objects = append(response.Objects, &wire.GarbageObject{
				Key: info.Key, Size: info.Size, ModifiedUnixMs: info.Modified.UnixMilli(),
				Origin: parseName(l.cluster(), info.Key).origin, Why: v.why, Kept: young || waits,
			})
		}
		return nil
	})
	slices.SortStableFunc(response.Objects, func(a, b *wire.GarbageObject) int { return cmp.Compare(a.ModifiedUnixMs, b.ModifiedUnixMs) })
	return found, response, err
}

// unneeded tells whether nothing needs an object that is not garbage yet: its writer
// lives and may come to.
func (l *leader) unneeded(key string) bool {
	n := parseName(l.cluster(), key)
	record := l.record(n.job)
	switch n.kind {
	case kindState:
		return record != nil && !record.Catalog.RefersKey(key)
	case kindMetadata:
		if record == nil {
			return false
		}
		r := record.Catalog.Record(n.checkpoint)
		return r == nil || r.Metadata.Key != key
	case kindArtifact:
		return !l.artifactNeeded(n.sha256)
	}
	return false
}

// deleteGarbage deletes objects that were judged garbage, which they stay. Artifacts are
// judged again, beside submits that may be coming.
func (l *leader) deleteGarbage(ctx context.Context, keys []string) (deleted int64, err error) {
	var others []string
	var errs []error
	for _, key := range keys {
		n := parseName(l.cluster(), key)
		if n.kind != kindArtifact {
			others = append(others, key)
			continue
		}
		if err := l.deleteArtifact(ctx, n.sha256); err != nil {
			errs = append(errs, err)
			continue
		}
		deleted++
	}
	n, err := l.store().Delete(ctx, others)
	return deleted + int64(n), errors.Join(append(errs, err)...)
}
