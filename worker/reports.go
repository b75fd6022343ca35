package worker

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

const (
	// declinesMax bounds the declines that are kept per job. An attempt has a
	// handful of checkpoints in flight.
	declinesMax = 64
	// outboxMax bounds what waits for a leader. A leader that is so far behind
	// loses its session: the Hello of the next one carries what matters.
	outboxMax = 1024
)

// reports is what a new leader must hear of the processes here, and the way to
// the present one. Whatever a process says is put into reports and, in the
// same moment, queued for the session: a session's Hello and its queue together
// hold everything, and nothing twice in the wrong order.
//
// All methods may be called at once and none blocks.
type reports struct {
	mu     sync.Mutex
	jobs   map[dataflow.JobID]*report
	outbox chan *wire.AgentMessage // the session's; nil without one
	cut    func()                  // ends the session
}

// report is one job's: the newest attempt's state and what is unconfirmed of it.
type report struct {
	status   *wire.ProcessStatus
	acks     map[uint64]*wire.CheckpointAck     // by checkpoint
	declines map[uint64]*wire.CheckpointDecline // by checkpoint
	commits  *wire.CommitDone                   // the newest includes the older
	stats    *wire.ProcessStats                 // for /metrics only
}

func newReports() *reports { return &reports{jobs: map[dataflow.JobID]*report{}} }

// attach begins a session: it returns the processes for its Hello and the queue
// of what comes after it. cut is called when the queue is full.
func (r *reports) attach(cut func()) ([]*wire.ProcessReport, <-chan *wire.AgentMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	outbox := make(chan *wire.AgentMessage, outboxMax)
	r.outbox, r.cut = outbox, cut
	var all []*wire.ProcessReport
	for _, job := range slices.Sorted(maps.Keys(r.jobs)) {
		all = append(all, r.jobs[job].forHello())
	}
	return all, outbox
}

// detach ends the session: nothing is queued until the next.
func (r *reports) detach() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outbox, r.cut = nil, nil
}

func (p *report) forHello() *wire.ProcessReport {
	h := &wire.ProcessReport{Status: p.status, Acks: sortedValues(p.acks), Declines: sortedValues(p.declines)}
	if p.commits != nil {
		h.Commits = []*wire.CommitDone{p.commits}
	}
	return h
}

func sortedValues[K cmp.Ordered, V any](m map[K]V) []V {
	var values []V
	for _, k := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[k])
	}
	return values
}

// send queues a message that needs no keeping, such as an answer.
func (r *reports) send(m *wire.AgentMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sendLocked(m)
}

func (r *reports) sendLocked(m *wire.AgentMessage) {
	if r.outbox == nil {
		return
	}
	select {
	case r.outbox <- m:
	default:
		r.cut()
	}
}

// begin makes attempt the newest of its job, in the given first status. What
// is unconfirmed of older ones is worth nothing: only the present attempt's
// acknowledgements count.
func (r *reports) begin(status *wire.ProcessStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs[dataflow.JobID(status.Job)] = newReport(status)
	r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_Status{Status: status}})
}

func newReport(status *wire.ProcessStatus) *report {
	return &report{status: status, acks: map[uint64]*wire.CheckpointAck{}, declines: map[uint64]*wire.CheckpointDecline{}}
}

// status is the newest one of a job, or nil. It is not to be changed.
func (r *reports) status(job dataflow.JobID) *wire.ProcessStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.jobs[job]; p != nil {
		return p.status
	}
	return nil
}

// repeat tells the leader once more how a job stands.
func (r *reports) repeat(job dataflow.JobID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.jobs[job]; p != nil {
		r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_Status{Status: p.status}})
		if p.commits != nil {
			r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_CommitDone{CommitDone: p.commits}})
		}
	}
}

// forget drops a job that will not run here again.
func (r *reports) forget(job dataflow.JobID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.jobs, job)
}

// heard keeps and passes on what a task process says. What belongs to another
// attempt than the newest is dropped.
func (r *reports) heard(job dataflow.JobID, m *wire.TaskMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.jobs[job]
	if p == nil {
		return
	}
	switch b := m.Body.(type) {
	case *wire.TaskMessage_Status:
		p.heardStatus(r, b.Status)
	case *wire.TaskMessage_Ack:
		if b.Ack.Attempt == p.status.Attempt && !over(p.status) {
			p.acks[b.Ack.Checkpoint] = b.Ack
			r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_Ack{Ack: b.Ack}})
		}
	case *wire.TaskMessage_Decline:
		if b.Decline.Attempt == p.status.Attempt && !over(p.status) {
			p.keepDecline(b.Decline)
			r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_Decline{Decline: b.Decline}})
		}
	case *wire.TaskMessage_CommitDone:
		if b.CommitDone.Attempt == p.status.Attempt && (p.commits == nil || b.CommitDone.Checkpoint >= p.commits.Checkpoint) {
			p.commits = b.CommitDone
			r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_CommitDone{CommitDone: b.CommitDone}})
		}
	case *wire.TaskMessage_Stats:
		p.stats = b.Stats
		r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_Stats{Stats: b.Stats}})
	case *wire.TaskMessage_SourceTimes:
		r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_SourceTimes{SourceTimes: b.SourceTimes}})
	}
}

// heardStatus takes a newer status. An attempt that is over stays over.
func (p *report) heardStatus(r *reports, s *wire.ProcessStatus) {
	if s.Attempt != p.status.Attempt || over(p.status) {
		return
	}
	p.status = s
	if over(s) {
		clear(p.acks)
		clear(p.declines)
	}
	r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_Status{Status: s}})
}

// fail reports that the process of a job is gone, or never came about. It
// also overrides a stop: then what was to be finished is not.
func (r *reports) fail(job dataflow.JobID, reason, stack string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.jobs[job]
	if p == nil || p.status.State == wire.ProcessState_PROCESS_STATE_FAILED {
		return
	}
	s := proto.CloneOf(p.status)
	s.State, s.Reason, s.Stack, s.ProcessGone = wire.ProcessState_PROCESS_STATE_FAILED, reason, stack, true
	p.status = s
	clear(p.acks)
	clear(p.declines)
	r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_Status{Status: s}})
}

// stopped answers a stop of what has no process here: the attempt is over, if
// it was not already.
func (r *reports) stopped(job dataflow.JobID, attempt dataflow.Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &wire.ProcessStatus{Job: string(job), Attempt: uint64(attempt), State: wire.ProcessState_PROCESS_STATE_STOPPED, ProcessGone: true}
	if p := r.jobs[job]; p != nil {
		if p.status.Attempt > uint64(attempt) {
			return
		}
		if !over(p.status) {
			stopped := proto.CloneOf(p.status)
			stopped.State, stopped.ProcessGone = wire.ProcessState_PROCESS_STATE_STOPPED, true
			p.status = stopped
		}
		s = p.status
	}
	r.sendLocked(&wire.AgentMessage{Body: &wire.AgentMessage_Status{Status: s}})
}

// refused answers a deployment of an attempt that has ended here: a leader that
// heard nothing would wait for it.
func (r *reports) refused(job dataflow.JobID, attempt dataflow.Attempt) {
	r.send(&wire.AgentMessage{Body: &wire.AgentMessage_Status{Status: &wire.ProcessStatus{
		Job: string(job), Attempt: uint64(attempt), State: wire.ProcessState_PROCESS_STATE_STOPPED,
		Reason: "the attempt had ended on this worker before it was deployed",
	}}})
}

// over tells whether the attempt has ended in its process.
func over(s *wire.ProcessStatus) bool {
	return s.State == wire.ProcessState_PROCESS_STATE_FAILED || s.State == wire.ProcessState_PROCESS_STATE_STOPPED
}

func (p *report) keepDecline(d *wire.CheckpointDecline) {
	if len(p.declines) >= declinesMax { // the lowest is the longest settled
		delete(p.declines, slices.Min(slices.Collect(maps.Keys(p.declines))))
	}
	p.declines[d.Checkpoint] = d
}

// settled drops what a committed outcome has settled.
func (r *reports) settled(o *wire.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.jobs[dataflow.JobID(o.Job)]
	if p == nil || p.status.Attempt != o.Attempt {
		return
	}
	done := func(id uint64) bool {
		return id == o.Checkpoint || o.Kind == wire.OutcomeKind_OUTCOME_KIND_COMPLETED && id < o.Checkpoint
	}
	maps.DeleteFunc(p.acks, func(id uint64, _ *wire.CheckpointAck) bool { return done(id) })
	maps.DeleteFunc(p.declines, func(id uint64, _ *wire.CheckpointDecline) bool { return done(id) })
}

// commitsKnown drops a CommitDone that Raft holds.
func (r *reports) commitsKnown(k *wire.CommitsKnown) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.jobs[dataflow.JobID(k.Job)]
	if p != nil && p.commits != nil && p.commits.Attempt == k.Attempt && p.commits.Checkpoint <= k.Checkpoint {
		p.commits = nil
	}
}
