package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/cairnstream/cairn/admin"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/wire"
)

// Config is what a run of the demo can choose.
type Config struct {
	// Faults is what to do to the cluster: see ParseFaults. Default leader,worker.
	Faults string
	// ObjectStore is the URL of the bucket. Default: a folder of the run.
	ObjectStore string
	// JSON asks for one JSON object as the last line of Stdout; everything
	// else goes to Stderr.
	JSON bool
	// Keep leaves the cluster running and the folder in place.
	Keep bool
	// Duration is about how long the job replays its data. Default: 25 s, or
	// longer if the faults need more.
	Duration time.Duration
	// Build is the version to show.
	Build          string
	Stdout, Stderr io.Writer
}

const (
	controllers = 3
	workers     = 3
	parallelism = 4
	slots       = 2 // two workers have slots for the whole job
	interval    = 500 * time.Millisecond

	runLeast    = 25 * time.Second
	calmStart   = 8 * time.Second
	perFault    = 6 * time.Second // strike, recovery, restart, calm
	startWithin = 30 * time.Second
	overtime    = 2 * time.Minute // for a slow machine, on top of the data's length
)

// demo is one run. Its fields belong to the goroutine of run, except where
// they have locks of their own.
type demo struct {
	cfg     Config
	cluster *cluster
	display *display
	poll    *poller
	strikes []*Strike
	started bool // the cluster was ready
	kept    bool // it outlives this run
}

// Run runs the demo. The error says why it was not a success; the report has
// been printed before. When ctx ends the demo stops and cleans up.
func Run(ctx context.Context, cfg Config) error {
	faults, err := ParseFaults(cfg.Faults)
	if err != nil {
		return &admin.UsageError{Err: err}
	}
	out := cfg.Stdout
	if cfg.JSON {
		out = cfg.Stderr
	}
	d := &demo{cfg: cfg, display: newDisplay(out, time.Now()), poll: &poller{}}
	d.note("starting %d controllers and %d workers on this machine", controllers, workers)
	dir, err := os.MkdirTemp("", "cairn-demo-")
	if err != nil {
		return err
	}
	report, err := d.run(ctx, dir, faults)
	d.display.finish()
	if err != nil {
		return err
	}
	report.print(out)
	if cfg.JSON {
		if err := json.NewEncoder(cfg.Stdout).Encode(report); err != nil {
			return err
		}
	}
	return report.Err()
}

// run starts the cluster, runs the job under its faults and makes the report.
// Whatever happens it leaves nothing behind, unless it is told to keep it.
func (d *demo) run(ctx context.Context, dir string, faults []fault) (report *Report, err error) {
	defer func() {
		if !d.kept {
			os.RemoveAll(dir)
		}
	}()
	d.cluster, err = startCluster(ctx, clusterConfig{Dir: dir, ObjectStore: d.cfg.ObjectStore, Controllers: controllers, Workers: workers, Slots: slots, Build: d.cfg.Build})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.leave(dir)) }()
	d.cluster.timeline.update(func(t *timeline) { t.onEvent = d.tell })
	starting, cancel := context.WithTimeoutCause(ctx, startWithin, fmt.Errorf("not ready after %v", startWithin))
	defer cancel()
	if err := d.cluster.ready(starting); err != nil {
		return nil, err
	}
	d.started = true
	c, err := d.cluster.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return d.runJob(ctx, c, dir, faults)
}

// leave stops the cluster, or lets it go on and says how to reach and stop it.
func (d *demo) leave(dir string) error {
	if !d.cfg.Keep || !d.started {
		return d.cluster.stop()
	}
	d.kept = true
	if err := d.cluster.detach(); err != nil {
		return err
	}
	printAttach(d.display.out, d.cluster, dir)
	return nil
}

func (d *demo) runJob(ctx context.Context, c *admin.Client, dir string, faults []fault) (*Report, error) {
	length := d.cfg.Duration
	if length == 0 {
		length = max(runLeast, calmStart+time.Duration(len(faults))*perFault)
	}
	out, err := below(d.cluster.store, "out")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	job, err := admin.Submit(ctx, c, admin.Submission{
		Name: "flights", Executable: self, Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Args: []string{flightsVerb, "--out", out, "--duration", length.String(), "--parallelism", fmt.Sprint(parallelism), "--checkpoint-interval", interval.String()},
	})
	if err != nil {
		return nil, err
	}
	d.cluster.timeline.follow(job)
	d.note("job %s: %s flights of January 2001 in about %v", job, countText(flights.Rows), length.Round(time.Second))
	outer := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, length+overtime, fmt.Errorf("the run took longer than %v", length+overtime))
	defer cancel()
	from, to, err := d.follow(ctx, c, job, faults)
	if err != nil {
		return nil, d.explain(outer, err)
	}
	d.note("the job is finished; recomputing the answer and comparing every row")
	return d.judge(ctx, c, job, out, from, to)
}

// follow shows the job and strikes until it is finished.
func (d *demo) follow(ctx context.Context, c *admin.Client, job string, faults []fault) (from, to time.Time, err error) {
	side, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() { stop(); wg.Wait() }()
	wg.Go(func() { d.poll.run(side, c, job) })
	wg.Go(func() { d.redraw(side) })
	t := d.cluster.timeline
	if err := d.waitJob(ctx, func(t *timeline) bool { return t.status == "running" }); err != nil {
		return from, to, err
	}
	from = time.Now()
	if err := d.strikeAll(ctx, faults); err != nil {
		return from, to, err
	}
	ended := func(t *timeline) bool {
		return t.status == "finished" || t.status == "failed" || t.status == "cancelled"
	}
	if err := t.wait(ctx, ended); err != nil {
		return from, to, err
	}
	to = time.Now()
	t.view(func(t *timeline) {
		if t.status != "finished" {
			err = fmt.Errorf("the job is %s: %s", t.status, t.reason)
		}
	})
	return from, to, err
}

// redrawEvery keeps the screen calm and alive.
const redrawEvery = 150 * time.Millisecond

func (d *demo) redraw(ctx context.Context) {
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		d.display.draw(d.frame())
		select {
		case <-ctx.Done():
			d.display.draw(d.frame())
			return
		case <-tick.C:
		}
	}
}

// judge gathers the evidence and makes the report.
func (d *demo) judge(ctx context.Context, c *admin.Client, job, out string, from, to time.Time) (*Report, error) {
	e := evidence{strikes: d.strikes, runFrom: from, runTo: to}
	var dirs []string
	for _, w := range d.cluster.workers {
		dirs = append(dirs, d.cluster.dir(w.Name))
	}
	var err error
	if e.traces, err = readTraces(dirs, job); err != nil {
		return nil, err
	}
	err = c.Do(ctx, "list the checkpoints", func(ctx context.Context, cc wire.ControlClient) (err error) {
		e.checkpoints, err = cc.ListCheckpoints(ctx, &wire.ListCheckpointsRequest{Job: job})
		return err
	})
	if err != nil {
		return nil, err
	}
	e.verdict, e.verdictErr = verify(ctx, out, job)
	return newReport(e), nil
}

// verify recomputes the answer and compares it with the committed output.
func verify(ctx context.Context, out, job string) (report flights.Report, err error) {
	b, err := open.Open(ctx, out, open.Options{})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return flights.Verify(ctx, b, dataflow.JobID(job))
}

// errInterrupted is how a run ends that its user ended.
var errInterrupted = errors.New("interrupted; everything is stopped and removed")

// explain adds to an error what the processes last said.
func (d *demo) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	text := ""
	for _, p := range d.cluster.all() {
		if lines := p.LastWords(5); lines != "" {
			text += "\n--- " + p.Name + "\n" + lines
		}
	}
	return fmt.Errorf("%w\nthe processes' last words:%s", err, text)
}

func (d *demo) note(format string, args ...any) { d.display.say(format, args...) }

// struck records and shows a strike.
func (d *demo) struck(s *Strike) {
	d.strikes = append(d.strikes, s)
	during := ""
	if s.Checkpoint > 0 {
		during = fmt.Sprintf(", leader of term %d, within checkpoint %d", s.Term, s.Checkpoint)
	}
	d.note("kill -9 %s %s (pid %d)%s", s.Fault, s.Target, s.PID, during)
}

// tell shows an event that is worth a line.
func (d *demo) tell(s sighting) {
	switch s.Type {
	case "leader_established":
		if s.Term > 0 {
			d.note("%s leads in term %d", s.Controller, s.Term)
		}
	case "worker_registered":
		d.note("worker %s registered", s.Worker)
	case "worker_ended":
		d.note("worker %s is lost: %s", s.Worker, s.Detail)
	case "job_status":
		d.note("job is %s", s.Detail)
	case "attempt_failed":
		d.note("attempt %d ended: %s", s.Attempt, firstLine(s.Detail))
	case "checkpoint_aborted":
		d.note("checkpoint %d aborted: %s", s.Checkpoint, firstLine(s.Detail))
	case "checkpoint_completed":
		if s.Checkpoint%10 == 0 && !d.display.live {
			d.note("checkpoint %d completed", s.Checkpoint)
		}
	}
}
