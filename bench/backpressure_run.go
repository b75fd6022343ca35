package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/cairnstream/cairn/admin"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/demo"
	"github.com/cairnstream/cairn/wire"
)

// RunBackpressure measures checkpoints of a job whose sink is far slower than its sources, in
// each mode of barriers, on one cluster of processes, and prints the report.
func RunBackpressure(ctx context.Context, cfg BackpressureConfig) error {
	r, err := measureBackpressure(ctx, cfg)
	if err != nil {
		return err
	}
	if cfg.JSON {
		return r.writeJSON(cfg.Stdout)
	}
	return r.writeText(cfg.Stdout)
}

func measureBackpressure(ctx context.Context, cfg BackpressureConfig) (r *BackpressureReport, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r, err = nil, fmt.Errorf("bench backpressure: %w", err)
		}
	}()
	dir, err := os.MkdirTemp("", "cairn-backpressure-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &backpressureBench{cfg: cfg.withDefaults()}
	b.report = newBackpressureReport(&b.cfg)
	b.note("starting %d controllers and %d workers", controllers, b.cfg.Workers)
	b.hosted, err = demo.Host(ctx, demo.HostConfig{Dir: dir, Controllers: controllers, Workers: b.cfg.Workers, Slots: b.cfg.Parallelism, Build: b.cfg.Version})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.hosted.Stop()) }()
	for _, m := range backpressureModes {
		if err := b.run(ctx, m); err != nil {
			return nil, b.hosted.Explain(fmt.Errorf("%s: %w", m.name, err))
		}
	}
	b.report.finish()
	return b.report, nil
}

// backpressureBench measures one cluster.
type backpressureBench struct {
	cfg    BackpressureConfig
	report *BackpressureReport
	hosted *demo.Hosted
}

func (b *backpressureBench) note(format string, args ...any) {
	fmt.Fprintf(b.cfg.Stderr, format+"\n", args...)
}

// run runs the job in a mode until enough checkpoints were begun with its buffers full, and
// ends it.
func (b *backpressureBench) run(ctx context.Context, m backpressureMode) error {
	b.note("%s: %v of checkpoints with full buffers", m.name, b.cfg.Duration)
	id, err := b.submit(ctx, m)
	if err != nil {
		return err
	}
	b.hosted.Follow(id)
	p, err := b.hosted.Wait(ctx, func(p demo.Progress) bool { return !p.Running.IsZero() || p.Ended() })
	if err == nil && p.Ended() {
		err = fmt.Errorf("the job is %s: %s", p.Status, p.Reason)
	}
	if err != nil {
		return err
	}
	full := p.Running.Add(b.cfg.Timeout)
	end := full.Add(b.cfg.Duration)
	if err := waitUntil(ctx, end.Add(b.cfg.Timeout+backpressureInterval)); err != nil {
		return err
	}
	if err := b.collect(ctx, m, id, full, end); err != nil {
		return err
	}
	return b.hosted.Client.Do(ctx, "cancel the job", func(ctx context.Context, c wire.ControlClient) error {
		_, err := c.CancelJob(ctx, &wire.CancelJobRequest{Job: id, Key: "cancel-" + id})
		return err
	})
}

// submit submits the job, which is this executable.
func (b *backpressureBench) submit(ctx context.Context, m backpressureMode) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return admin.Submit(ctx, b.hosted.Client, admin.Submission{
		Name: "backpressure", Executable: self, Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Args:    []string{BackpressureJob, "--rate", fmt.Sprint(b.cfg.Rate), "--sink", fmt.Sprint(b.cfg.Rate * b.cfg.Share)},
		Options: b.cfg.options(m), Parallelism: int32(b.cfg.Parallelism),
	})
}

// collect adds the checkpoints that were begun with full buffers. Until the first one could
// have timed out, buffers filled.
func (b *backpressureBench) collect(ctx context.Context, m backpressureMode, job string, full, end time.Time) error {
	var list *wire.ListCheckpointsResponse
	err := b.hosted.Client.Do(ctx, "list the checkpoints", func(ctx context.Context, c wire.ControlClient) (err error) {
		list, err = c.ListCheckpoints(ctx, &wire.ListCheckpointsRequest{Job: job})
		return err
	})
	if err != nil {
		return err
	}
	r := &BackpressureMode{Mode: m.name, MustComplete: m.completes}
	for _, k := range list.Checkpoints {
		if begun := time.UnixMilli(k.BegunUnixMs); begun.After(full) && begun.Before(end) {
			r.add(k)
		}
	}
	if r.Taken == 0 {
		return errors.New("no checkpoint was begun: use a longer --duration")
	}
	r.finish()
	b.report.Modes = append(b.report.Modes, r)
	return b.addThroughput(ctx, r, dataflow.JobID(job))
}

// addThroughput adds what the sink has taken a second.
func (b *backpressureBench) addThroughput(ctx context.Context, r *BackpressureMode, job dataflow.JobID) error {
	var got *wire.GetJobResponse
	err := b.hosted.Client.Do(ctx, "look at the job", func(ctx context.Context, c wire.ControlClient) (err error) {
		got, err = c.GetJob(ctx, &wire.GetJobRequest{Job: string(job)})
		return err
	})
	if err != nil {
		return err
	}
	r.addJob(got)
	return nil
}
