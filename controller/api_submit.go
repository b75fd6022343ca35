package controller

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// planTimeout bounds how long a worker may take to fetch an artifact and run
// its plan. A program that thinks longer does more than build a graph.
const planTimeout = 60 * time.Second

// SubmitJob has a worker plan the artifact, checks the graph and commits the
// job. The same key gives the same job.
func (s controlService) SubmitJob(ctx context.Context, r *wire.SubmitJobRequest) (*wire.SubmitJobResponse, error) {
	id, err := s.submit(ctx, r)
	if err != nil {
		return nil, statusOf(err)
	}
	return &wire.SubmitJobResponse{Job: string(id)}, nil
}

func (s controlService) submit(ctx context.Context, r *wire.SubmitJobRequest) (dataflow.JobID, error) {
	l, err := s.reading(ctx)
	if err != nil {
		return "", err
	}
	if r.Name != "" {
		if err := dataflow.CheckJobName(r.Name); err != nil {
			return "", fmt.Errorf("%w: %w", err, errInvalid)
		}
	}
	if r.Parallelism < 0 {
		return "", fmt.Errorf("parallelism %d: want at least 1, or 0 for the program's own: %w", r.Parallelism, errInvalid)
	}
	over, err := decodeOptions(r.Options)
	if err != nil {
		return "", err
	}
	if !l.artifacts.pin(r.ArtifactSha256) {
		return "", fmt.Errorf("artifact %.12s, which no job needed, is being deleted right now; put it again: %w", r.ArtifactSha256, errNotReady)
	}
	defer l.artifacts.unpin(r.ArtifactSha256)
	if err := l.needArtifact(ctx, r.ArtifactSha256); err != nil {
		return "", err
	}
	cmd, err := l.prepare(ctx, r, over)
	if err != nil {
		return "", err
	}
	cmd.Header = l.header(r.Key)
	return l.commitJob(ctx, cmd)
}

// prepare does all of a submit but the entry: it finds what the job starts from, has the
// program plan and match itself with that, and checks what comes out.
func (l *leader) prepare(ctx context.Context, r *wire.SubmitJobRequest, over dataflow.Options) (*ledger.SubmitJob, error) {
	var from *origin
	var point *wire.RestorePoint
	if r.Origin != nil {
		var err error
		if from, err = l.findOrigin(ctx, r.Origin); err != nil {
			return nil, err
		}
		point = pointOf(&from.Origin)
	}
	plan, err := l.planArtifact(ctx, r, point)
	if err != nil {
		return nil, err
	}
	cmd, err := submission(plan.graph, over, r)
	if err != nil || from == nil {
		return cmd, err
	}
	if err := plan.refusal(); err != nil {
		return nil, fmt.Errorf("start %s from %s: %w: %w", cmd.Name, from.name(), err, errPrecondition)
	}
	if err := from.checkBackend(cmd.Options); err != nil {
		return nil, fmt.Errorf("start %s from %s: %w", cmd.Name, from.name(), err)
	}
	from.Own = checkpointstore.JobPrefix(l.cluster(), cmd.Job)
	cmd.Origin = &from.Origin
	return cmd, nil
}

// planned is what a program's plan came to.
type planned struct {
	graph *dataflow.Graph
	match []byte // engine.Match as JSON; nil without a restore point
}

// refusal is why the program does not fit its restore point, in the words that the
// restore itself would use; nil if it fits.
func (p planned) refusal() error {
	_, refusals, err := p.refusals()
	if err != nil || len(refusals) == 0 {
		return err
	}
	return errors.New(strings.Join(refusals, "; "))
}

// refusals are those of the match, and which of them is about records in flight.
func (p planned) refusals() (inFlight string, all []string, err error) {
	var match struct {
		Refusals []string `json:"refusals"`
		InFlight string   `json:"in_flight"`
	}
	if len(p.match) == 0 {
		return "", nil, nil
	}
	if err := json.Unmarshal(p.match, &match); err != nil {
		return "", nil, fmt.Errorf("the program's match: %w", err)
	}
	return match.InFlight, match.Refusals, nil
}

// refusalOfSavepoint is refusal for a savepoint that is yet to be taken: nothing will be in flight.
func (p planned) refusalOfSavepoint() error {
	inFlight, refusals, err := p.refusals()
	refusals = slices.DeleteFunc(refusals, func(r string) bool { return r == inFlight })
	if err != nil || len(refusals) == 0 {
		return err
	}
	return errors.New(strings.Join(refusals, "; "))
}

func decodeOptions(data []byte) (o dataflow.Options, err error) {
	if len(data) == 0 {
		return o, nil
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return o, fmt.Errorf("options %.200s: %w: %w", data, err, errInvalid)
	}
	return o, nil
}

func (l *leader) needArtifact(ctx context.Context, sha256 string) error {
	if err := checkSHA256(sha256); err != nil {
		return err
	}
	found, err := l.store().HasArtifact(ctx, sha256)
	if err != nil {
		return fmt.Errorf("%w: %w", err, errNotReady)
	}
	if !found {
		return fmt.Errorf("artifact %s is not in %s: put it first: %w", sha256, l.bucket.URL(), errPrecondition)
	}
	return nil
}

// planArtifact has a worker of the right platform run the program's plan. A
// controller never runs a job's code. With a restore point the program matches itself with that.
func (l *leader) planArtifact(ctx context.Context, r *wire.SubmitJobRequest, point *wire.RestorePoint) (planned, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, planTimeout,
		fmt.Errorf("no worker planned artifact %.12s within %v: %w", r.ArtifactSha256, planTimeout, errNotReady))
	defer cancel()
	answer, err := l.ask(ctx, func() (*worker, error) { return l.planner(r.Platform) }, func(id string) *wire.LeaderMessage {
		return &wire.LeaderMessage{Body: &wire.LeaderMessage_Plan{Plan: &wire.Plan{
			Request: id, ArtifactSha256: r.ArtifactSha256, Args: r.Args, Parallelism: r.Parallelism, Restore: point,
		}}}
	})
	if err != nil {
		return planned{}, fmt.Errorf("plan: %w", err)
	}
	result := answer.GetPlanResult()
	if result.Error != "" {
		return planned{}, fmt.Errorf("the program refused to plan: %s: %w", result.Error, errInvalid)
	}
	graph := &dataflow.Graph{}
	if err := json.Unmarshal(result.Graph, graph); err != nil {
		return planned{}, fmt.Errorf("the program's plan is no graph: %w: %w", err, errInvalid)
	}
	return planned{graph, result.Match}, nil
}

// submission checks the graph with the options that the request gives, and
// makes the command. All problems are told at once.
func submission(graph *dataflow.Graph, over dataflow.Options, r *wire.SubmitJobRequest) (*ledger.SubmitJob, error) {
	name := cmp.Or(r.Name, graph.Name)
	if err := dataflow.CheckJobName(name); err != nil {
		return nil, fmt.Errorf("%w: %w", err, errInvalid)
	}
	if err := graph.Validate(); err != nil {
		return nil, fmt.Errorf("graph of %s: %w: %w", name, err, errInvalid)
	}
	chosen := graph.Options.Merge(over)
	options := chosen.WithDefaults()
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("options of %s: %w: %w", name, err, errInvalid)
	}
	data, err := json.Marshal(graph)
	if err != nil {
		return nil, fmt.Errorf("encode graph: %w", err)
	}
	return &ledger.SubmitJob{
		Job: newJobID(name), Name: name, Artifact: r.ArtifactSha256, Args: r.Args, Graph: data, Options: recorded(chosen),
		Platform: r.Platform, Parallelism: int(r.Parallelism),
	}, nil
}

// recorded are the options as Raft holds them, from those that were chosen: with the
// defaults, but for the parts that older members do not know, as far as nothing is
// chosen there (see ledger.VersionOf); who reads them fills those in. In what is said
// about checkpoints the defaults are always left to the reader, since some follow
// other options, which may change while the job runs.
func recorded(chosen dataflow.Options) dataflow.Options {
	options := chosen.WithDefaults()
	defaults := dataflow.Options{CheckpointInterval: options.CheckpointInterval}.WithDefaults()
	if options.State == defaults.State {
		options.State = dataflow.StateOptions{}
	}
	c := chosen.Checkpoint
	if options.Checkpoint == defaults.Checkpoint {
		c = dataflow.CheckpointOptions{}
	}
	if c.IntervalDuringBacklog == options.CheckpointInterval {
		c.IntervalDuringBacklog = 0
	}
	if overtakes := map[bool]string{true: "on", false: "off"}[c.AlignedTimeout > 0]; c.Unaligned == overtakes {
		c.Unaligned = ""
	}
	options.Checkpoint = c
	return options
}

// newJobID makes a fresh id from 36^6 of a name, 2 billion; Apply refuses one that exists.
func newJobID(name string) dataflow.JobID {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	var random [6]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	for i, b := range random {
		random[i] = letters[int(b)%len(letters)]
	}
	return dataflow.JobID(name + "-" + string(random[:]))
}

// commitJob has Raft hold the job, and the loop begin with it.
func (l *leader) commitJob(ctx context.Context, cmd *ledger.SubmitJob) (dataflow.JobID, error) {
	result, err := l.commit(ctx, cmd)
	if err != nil {
		return "", fmt.Errorf("submit %s: %w", cmd.Name, err)
	}
	record, ok := result.(*ledger.Job)
	if !ok || record == nil {
		return "", fmt.Errorf("submit %s: the job of this key is gone: %w", cmd.Name, errPrecondition)
	}
	if cmd.Origin != nil {
		l.passed(StepOriginSubmitted)
	}
	l.log.Info("job submitted", "job", record.ID, "name", record.Name)
	l.post(ctx, func() {
		if l.jobs[record.ID] == nil && !record.Status.Terminal() {
			l.drive(l.adoptJob(record))
		}
	})
	return record.ID, nil
}

func jobID(id string) dataflow.JobID { return dataflow.JobID(id) }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func names(set map[string]bool) string { return strings.Join(sortedKeys(set), ", ") }
