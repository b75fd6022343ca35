package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
)

// runner makes the measurements, one after the other.
type runner struct {
	cfg       StateConfig
	report    *Report
	bucket    objectstore.Bucket
	scratch   *scratch // for everything on this machine's disk
	prefix    string   // of everything in the bucket, ending in '/'
	processes atomic.Int64
}

func newRunner(ctx context.Context, cfg StateConfig) (*runner, error) {
	scratch, err := newScratch(os.TempDir())
	if err != nil {
		return nil, err
	}
	r := &runner{cfg: cfg, scratch: scratch, prefix: "bench/" + string(dataflow.NewIncarnation()) + "/"}
	url := cfg.ObjectStore
	if url == "" {
		url = "file://" + r.folder("bucket")
	}
	if r.bucket, err = open.Open(ctx, url, open.Options{Create: true}); err != nil {
		return nil, errors.Join(err, scratch.remove())
	}
	r.report = &Report{
		Version: cfg.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0),
		ObjectStore: r.bucket.URL(), Command: cfg.command(cfg.Only, cfg.Backends), Started: time.Now().UTC(), Aims: []Aim{},
	}
	return r, nil
}

// folder names a folder on this machine's disk, which is removed at the end.
func (r *runner) folder(name string) string { return filepath.Join(r.scratch.dir, name) }

// close removes everything that was written.
func (r *runner) close(ctx context.Context) error {
	err := r.remove(context.WithoutCancel(ctx), r.prefix)
	return errors.Join(err, r.bucket.Close(), r.scratch.remove())
}

// remove deletes the objects below prefix.
func (r *runner) remove(ctx context.Context, prefix string) error {
	var keys []string
	err := r.bucket.List(ctx, prefix, func(o objectstore.Info) error {
		keys = append(keys, o.Key)
		return nil
	})
	for _, key := range keys {
		err = errors.Join(err, r.bucket.Delete(ctx, key))
	}
	return err
}

func (r *runner) measure(ctx context.Context) error {
	for _, m := range measurements() {
		if !slices.Contains(r.cfg.Only, m.name) {
			continue
		}
		if err := m.make(r, ctx); err != nil {
			return fmt.Errorf("measure %s: %w", m.name, err)
		}
	}
	r.report.Seconds = round(time.Since(r.report.Started).Seconds())
	return nil
}

// profiled calls f, and writes a CPU profile of that to path; none if that is empty.
func profiled(path string, f func() error) (err error) {
	if path == "" {
		return f()
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}

// result begins a result and says on stderr what is being measured.
func (r *runner) result(name, backend, kase, about string) *Result {
	fmt.Fprintln(r.cfg.Stderr, strings.Join(strings.Fields(name+" "+backend+" "+kase), " "))
	res := &Result{Name: name, Backend: backend, Case: kase, About: about, Command: r.cfg.command([]string{name}, []string{backend})}
	r.report.Results = append(r.report.Results, res)
	return res
}
