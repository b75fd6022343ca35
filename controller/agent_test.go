package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// agent is a worker's agent with its task processes, as a leader sees them. It
// finds the leader by itself and comes back when its session ends.
type agent struct {
	c           *cluster
	id          string
	incarnation string
	slots       int32
	cancel      context.CancelFunc
	done        chan struct{}

	mu        sync.Mutex
	processes map[string]*fakeProcess // by job
	highest   uint64
	out       chan<- *wire.AgentMessage // of the session that is on
	// What the processes do when they are told something.
	frozen      bool // nothing is sent or taken
	holdAcks    bool // keep acknowledgements back
	holdCommits bool // sinks do not get their commits done
	failFinish  int  // so many FinishCommits fail
	failWrites  int  // so many WriteSavepoints fail, half done
	holdWrites  bool // savepoints are never done being written
	clings      bool // does not hear that its incarnation's processes must end
	started     []string
	damaged     string                                                 // an object that no restore here can read
	store       bool                                                   // the object store does not take what processes write
	writer      func(p *fakeProcess, t *wire.Trigger) snapshot.Process // makes the parts; nil: one object each
}

// fakeProcess is a task process's attempt.
type fakeProcess struct {
	status *wire.ProcessStatus
	acks   []*wire.CheckpointAck
	commit *wire.CommitDone
	order  *wire.Deploy
	held   uint64 // its sources read nothing until the outcome of this checkpoint
	upTo   uint64 // its sinks were told to commit up to here
}

// starts numbers the starts of agents, so that no two share an incarnation.
var starts atomic.Int64

// startAgent starts a worker with a fresh incarnation.
func (c *cluster) startAgent(id string, slots int32) *agent {
	ctx, cancel := context.WithCancel(context.Background())
	a := &agent{
		c: c, id: id, incarnation: fmt.Sprintf("%s-%d", id, starts.Add(1)), slots: slots, cancel: cancel,
		done: make(chan struct{}), processes: map[string]*fakeProcess{},
	}
	c.agents[a.incarnation] = a
	go func() {
		defer close(a.done)
		a.run(ctx)
	}()
	return a
}

// startAgents starts w1..wn and waits until the leader has them.
func (c *cluster) startAgents(n int, slots int32) []*agent {
	c.t.Helper()
	var all []*agent
	for i := range n {
		all = append(all, c.startAgent(fmt.Sprintf("w%d", i+1), slots))
	}
	c.await("all agents", func() bool {
		s, err := c.api().ClusterStatus(c.t.Context(), &wire.ClusterStatusRequest{})
		return err == nil && int(s.Workers) == n
	})
	return all
}

// kill ends the agent and its processes without a word.
func (a *agent) kill() {
	a.cancel()
	<-a.done
}

// run attaches to whoever leads, again and again.
func (a *agent) run(ctx context.Context) {
	for ctx.Err() == nil {
		for _, ctl := range a.c.snapshot() {
			if l := ctl.current.Load(); l != nil && isClosed(l.ready) && !a.isFrozen() {
				a.session(ctx, l)
			}
		}
		_ = pause(ctx, 20*time.Millisecond)
	}
}

func (c *cluster) snapshot() []*Controller {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Controller(nil), c.controllers...)
}

// session is one session with one leader, until either end breaks it.
func (a *agent) session(ctx context.Context, l *leader) {
	ctx, cancel := context.WithCancel(ctx)
	p := &pipe{ctx: ctx, up: make(chan *wire.AgentMessage, 64), down: make(chan *wire.LeaderMessage, 64)}
	a.mu.Lock()
	hello := a.hello()
	a.out = p.up
	a.mu.Unlock()
	p.up <- &wire.AgentMessage{Body: &wire.AgentMessage_Hello{Hello: hello}}
	over := make(chan error)
	go func() {
		err := l.serve(p)
		cancel()
		over <- err
	}()
	a.converse(ctx, p)
	cancel()
	if err := <-over; errors.Is(err, errDismissed) {
		if !a.clings {
			a.hearOut(p)
		}
		a.reincarnate()
	}
}

// hearOut takes what the leader said before it ended the session.
func (a *agent) hearOut(p *pipe) {
	for {
		select {
		case m := <-p.down:
			a.hear(m)
		default:
			return
		}
	}
}

// hear takes an order, unless it is lost on its way.
func (a *agent) hear(m *wire.LeaderMessage) {
	if m.Term > a.c.cut.Load() {
		a.c.note(a.id, m)
		a.obey(m)
	}
}

func (a *agent) converse(ctx context.Context, p *pipe) {
	beat := time.NewTicker(100 * time.Millisecond)
	defer beat.Stop()
	for {
		for a.isFrozen() && ctx.Err() == nil {
			_ = pause(ctx, 10*time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			a.send(&wire.AgentMessage{Body: &wire.AgentMessage_Heartbeat{Heartbeat: &wire.Heartbeat{}}})
		case m := <-p.down:
			a.hear(m)
		}
	}
}

func (a *agent) isFrozen() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.frozen
}

// freeze cuts the agent off: it says nothing any more, its processes run on.
func (a *agent) freeze() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frozen = true
}

func (a *agent) thaw() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frozen = false
}

// reincarnate is what an agent does whose incarnation was ended. One that
// clings to its processes, which no agent should, reports them in its next life.
func (a *agent) reincarnate() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.clings {
		clear(a.processes)
	}
	a.incarnation = fmt.Sprintf("%s-%d", a.id, starts.Add(1))
}

func (a *agent) hello() *wire.Hello {
	h := &wire.Hello{
		Worker: a.id, Incarnation: a.incarnation, Slots: a.slots, Platform: "linux/amd64", Host: a.id, HighestTerm: a.highest,
	}
	for _, p := range a.processes {
		r := &wire.ProcessReport{Status: p.status, Acks: p.acks}
		if p.commit != nil {
			r.Commits = append(r.Commits, p.commit)
		}
		h.Processes = append(h.Processes, r)
	}
	return h
}

// send says something in the session that is on, if it has room.
func (a *agent) send(m *wire.AgentMessage) {
	select {
	case a.out <- m:
	default:
	}
}

func (a *agent) obey(m *wire.LeaderMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.Term < a.highest {
		a.c.t.Errorf("%s: order of term %d after term %d", a.id, m.Term, a.highest)
		return
	}
	a.highest = m.Term
	switch body := m.Body.(type) {
	case *wire.LeaderMessage_Plan:
		graph, err := json.Marshal(a.c.graph)
		if err != nil {
			a.c.t.Error(err)
		}
		a.send(&wire.AgentMessage{Body: &wire.AgentMessage_PlanResult{PlanResult: &wire.PlanResult{
			Request: body.Plan.Request, Graph: graph, Match: a.c.matchOf(body.Plan),
		}}})
	case *wire.LeaderMessage_Deploy:
		a.deploy(body.Deploy)
	case *wire.LeaderMessage_Start:
		a.started = append(a.started, fmt.Sprintf("%s/%d", body.Start.Job, body.Start.Attempt))
		a.become(body.Start.Job, body.Start.Attempt, wire.ProcessState_PROCESS_STATE_RUNNING)
	case *wire.LeaderMessage_Stop:
		if p := a.processes[body.Stop.Job]; p != nil && p.status.Attempt <= body.Stop.Attempt {
			delete(a.processes, body.Stop.Job)
		}
		a.tell(&wire.ProcessStatus{
			Job: body.Stop.Job, Attempt: body.Stop.Attempt, State: wire.ProcessState_PROCESS_STATE_STOPPED, ProcessGone: true,
		})
	case *wire.LeaderMessage_Trigger:
		a.trigger(body.Trigger)
	case *wire.LeaderMessage_Outcome:
		a.outcome(body.Outcome)
	case *wire.LeaderMessage_CommitsKnown:
		if p := a.processes[body.CommitsKnown.Job]; p != nil && p.commit != nil && p.commit.Checkpoint <= body.CommitsKnown.Checkpoint {
			p.commit = nil
		}
	case *wire.LeaderMessage_FinishCommits:
		a.finish(body.FinishCommits)
	case *wire.LeaderMessage_WriteSavepoint:
		a.writeSavepoint(body.WriteSavepoint)
	}
}

func (a *agent) deploy(d *wire.Deploy) {
	s := &wire.ProcessStatus{
		Job: d.Job, Attempt: d.Attempt, Process: fmt.Sprintf("%s-%d", a.incarnation, d.Attempt),
		State: wire.ProcessState_PROCESS_STATE_DEPLOYED, ExchangeAddress: a.id + ":9",
	}
	for _, p := range d.Placements {
		if p.Incarnation == a.incarnation {
			s.Subtasks = append(s.Subtasks, p.Subtask)
		}
	}
	if a.damaged != "" && d.RestoreCheckpoint > 0 && a.needs(d, a.damaged) {
		s.State, s.Reason = wire.ProcessState_PROCESS_STATE_FAILED, "object "+a.damaged+": object not found"
		s.Class, s.Object = wire.FailureClass_FAILURE_CLASS_RESTORE_OBJECT, a.damaged
	} else if a.c.behaviour(d.ArtifactSha256) == programFails {
		s.State, s.Reason = wire.ProcessState_PROCESS_STATE_FAILED, "it panics"
	} else {
		a.processes[d.Job] = &fakeProcess{status: s, order: d}
	}
	a.tell(s)
}

// needs tells whether the restore point of an order needs the object.
func (a *agent) needs(d *wire.Deploy, key string) bool {
	_, l := a.c.anyLeader()
	record := l.record(dataflow.JobID(d.Job)).Catalog.Record(dataflow.CheckpointID(d.RestoreCheckpoint))
	return record != nil && record.Needs(key)
}

func (a *agent) tell(s *wire.ProcessStatus) {
	a.send(&wire.AgentMessage{Body: &wire.AgentMessage_Status{Status: s}})
}

func (a *agent) become(job string, attempt uint64, state wire.ProcessState) {
	p := a.processes[job]
	if p == nil || p.status.Attempt != attempt {
		return
	}
	next := &wire.ProcessStatus{
		Job: job, Attempt: attempt, Process: p.status.Process, State: state,
		ExchangeAddress: p.status.ExchangeAddress, Subtasks: p.status.Subtasks,
	}
	p.status = next
	a.tell(next)
}

// fail is a process that fails, with a stack.
func (a *agent) fail(job dataflow.JobID, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.processes[string(job)]
	delete(a.processes, string(job))
	a.tell(&wire.ProcessStatus{
		Job: string(job), Attempt: p.status.Attempt, Process: p.status.Process, Subtasks: p.status.Subtasks,
		State: wire.ProcessState_PROCESS_STATE_FAILED, Reason: reason, Stack: "goroutine 1", ProcessGone: true,
	})
}

// endOfData is a process whose inputs have ended.
func (a *agent) endOfData(job dataflow.JobID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.become(string(job), a.processes[string(job)].status.Attempt, wire.ProcessState_PROCESS_STATE_END_OF_DATA)
}

// trigger takes the checkpoint: one object, one transaction.
func (a *agent) trigger(t *wire.Trigger) {
	p := a.processes[t.Job]
	if p == nil || p.status.Attempt != t.Attempt || a.c.behaviour(p.order.ArtifactSha256) == programHangs {
		return
	}
	if t.Afterwards != wire.Afterwards_AFTERWARDS_GO_ON {
		p.held = t.Checkpoint
	}
	if a.store {
		a.send(&wire.AgentMessage{Body: &wire.AgentMessage_Decline{Decline: &wire.CheckpointDecline{
			Job: t.Job, Attempt: t.Attempt, Checkpoint: t.Checkpoint, Process: p.status.Process, Reason: "put 7: timeout", Store: true,
		}}})
		return
	}
	write := a.part
	if a.writer != nil {
		write = a.writer
	}
	part, err := json.Marshal(write(p, t))
	if err != nil {
		a.c.t.Error(err)
	}
	ack := &wire.CheckpointAck{Job: t.Job, Attempt: t.Attempt, Checkpoint: t.Checkpoint, Process: p.status.Process, Snapshot: part}
	p.acks = append(p.acks, ack)
	if !a.holdAcks {
		a.send(&wire.AgentMessage{Body: &wire.AgentMessage_Ack{Ack: ack}})
	}
}

func (a *agent) part(p *fakeProcess, t *wire.Trigger) snapshot.Process {
	prefix := fmt.Sprintf("%s/jobs/%s/%d/%s/", a.c.snapshot()[0].cluster(), t.Job, t.Attempt, p.status.Process)
	part := snapshot.Process{
		Process: dataflow.Incarnation(p.status.Process), Bytes: 10, Puts: 1,
		Objects: []snapshot.Run{{Prefix: prefix, Lo: t.Checkpoint, Hi: t.Checkpoint}},
	}
	for _, s := range p.status.Subtasks {
		part.Subtasks = append(part.Subtasks, snapshot.Subtask{Task: taskID(s), Operators: []snapshot.Operator{{
			UID:          "out",
			Transactions: []snapshot.Transaction{{Checkpoint: dataflow.CheckpointID(t.Checkpoint), Attempt: dataflow.Attempt(t.Attempt)}},
		}}})
	}
	return part
}

func (a *agent) outcome(o *wire.Outcome) {
	p := a.processes[o.Job]
	if p == nil || p.status.Attempt != o.Attempt {
		return
	}
	if o.Kind == wire.OutcomeKind_OUTCOME_KIND_ABORTED && p.held == o.Checkpoint {
		p.held = 0
	}
	if o.Kind == wire.OutcomeKind_OUTCOME_KIND_COMPLETED {
		p.upTo = max(p.upTo, o.Checkpoint)
	}
	var kept []*wire.CheckpointAck
	for _, ack := range p.acks {
		settled := ack.Checkpoint == o.Checkpoint || o.Kind == wire.OutcomeKind_OUTCOME_KIND_COMPLETED && ack.Checkpoint < o.Checkpoint
		if !settled {
			kept = append(kept, ack)
		}
	}
	p.acks = kept
	if o.Kind == wire.OutcomeKind_OUTCOME_KIND_COMPLETED && !a.holdCommits {
		p.commit = &wire.CommitDone{Job: o.Job, Attempt: o.Attempt, Checkpoint: o.Checkpoint, Process: p.status.Process}
		a.send(&wire.AgentMessage{Body: &wire.AgentMessage_CommitDone{CommitDone: p.commit}})
	}
}

func (a *agent) finish(f *wire.FinishCommits) {
	if a.failFinish > 0 {
		a.failFinish--
		a.tell(&wire.ProcessStatus{Job: f.Job, Attempt: f.Attempt, State: wire.ProcessState_PROCESS_STATE_FAILED, Reason: "sink is away"})
		return
	}
	a.send(&wire.AgentMessage{Body: &wire.AgentMessage_CommitDone{CommitDone: &wire.CommitDone{
		Job: f.Job, Attempt: f.Attempt, Checkpoint: f.Checkpoint, Process: "finisher",
	}}})
}

// releaseAcks sends what was held back, and holds back no more.
func (a *agent) releaseAcks() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holdAcks = false
	for _, p := range a.processes {
		for _, ack := range p.acks {
			a.send(&wire.AgentMessage{Body: &wire.AgentMessage_Ack{Ack: ack}})
		}
	}
}

// set changes what the processes do.
func (a *agent) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// hosts tells whether a process of the job's attempt is here.
func (a *agent) hosts(job dataflow.JobID, attempt dataflow.Attempt) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.processes[string(job)]
	return p != nil && p.status.Attempt == uint64(attempt)
}

// pipe is a session's stream in memory.
type pipe struct {
	ctx  context.Context
	up   chan *wire.AgentMessage
	down chan *wire.LeaderMessage
}

func (p *pipe) Context() context.Context { return p.ctx }

func (p *pipe) Recv() (*wire.AgentMessage, error) {
	select {
	case m := <-p.up:
		return m, nil
	case <-p.ctx.Done():
		return nil, io.EOF
	}
}

func (p *pipe) Send(m *wire.LeaderMessage) error {
	select {
	case p.down <- m:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// ended tells whether some process here has seen the end of its data.
func (a *agent) ended() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.processes {
		if p.status.State == wire.ProcessState_PROCESS_STATE_END_OF_DATA {
			return true
		}
	}
	return false
}
