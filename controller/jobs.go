package controller

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/scheduler"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// refusedPause is how long a job rests after Raft refused what the leader
// thought right: the next try sees a newer ledger.
const refusedPause = 100 * time.Millisecond

// job is what the leader knows of a job beyond the ledger. Its record there is
// read anew for every decision.
type job struct {
	id       dataflow.JobID
	attempt  dataflow.Attempt // the current one; 0 before the first
	restore  dataflow.CheckpointID
	graph    *dataflow.Graph // decoded once
	plan     *dataflow.Plan
	decoded  []byte                // what graph and plan were made of
	previous []scheduler.Placement // of the newest attempt, also when it is over
	seen     *ledger.Job           // by the latest drive

	// processes are the current attempt's, one for each worker, sorted; none
	// when no attempt is on.
	processes []*process
	// proposing: a change of the job's life is under way. The job takes no
	// step until its outcome is known.
	proposing    bool
	slotsMissing int
	restart      *appointment // the restart delay is not over

	found        dataflow.Attempt // the attempt that ran already when this leader found the job; 0: none
	coord        coordinator.State
	options      dataflow.Options // that coord has been told, as Raft holds them
	coordinating bool             // all subtasks run, and coord has been told
	tick         *appointment
	triggers     map[string][]chan<- triggered        // who asked for a checkpoint, by key
	wishes       map[string]coordinator.SavepointWish // those of them who asked for a savepoint
	upgrade      upgradeSeen
	saving       string       // key of the upgrade whose savepoint is asked for
	trial        *appointment // the new program of an upgrade has to be healthy then
	periodic     bool         // an automatic savepoint is asked for and has not begun
	confirming   bool         // a ConfirmCommits is under way

	swept    bool     // no process of the newest attempt is left, as far as orders can tell
	finisher *session // commits what is owed after the job ran
	retry    *appointment
}

// process is one worker's share of the current attempt.
type process struct {
	worker      dataflow.WorkerID
	incarnation dataflow.Incarnation
	tasks       []dataflow.TaskID

	heard     bool // the agent has said under this leader what it has of it
	state     scheduler.ProcessState
	endOfData bool
	status    *wire.ProcessStatus // the latest; nil while absent
	startedIn *session            // Start was ordered in this session
	brokenAt  time.Time           // when it failed, or its agent fell silent
	stats     *wire.ProcessStats
	commits   dataflow.CheckpointID // its sinks have committed up to here
	known     dataflow.CheckpointID // it was told that Raft holds its commits up to here
	acks      map[dataflow.CheckpointID]*snapshot.Process
	declines  map[dataflow.CheckpointID]decline
	behind    bool // it told of changes that the store does not take
	sources   sourceNews
}

// decline is a process's word that it can not take a checkpoint.
type decline struct {
	reason string
	store  bool // the object store's fault
}

// nonce is the task process's own incarnation, empty until it has reported.
func (p *process) nonce() dataflow.Incarnation {
	return dataflow.Incarnation(p.status.GetProcess())
}

// slots are those that the process takes: slot i hosts subtask i of every vertex.
func (p *process) slots() int {
	slots := map[int]bool{}
	for _, t := range p.tasks {
		slots[t.Subtask] = true
	}
	return len(slots)
}

// begin makes e the job's current attempt, of which nothing is known yet.
func (j *job) begin(e *ledger.Execution) {
	j.attempt, j.restore = e.Attempt, e.Restore
	j.previous = placements(e.Placement)
	byWorker := map[dataflow.WorkerID]*process{}
	for _, p := range e.Placement {
		if byWorker[p.Worker] == nil {
			byWorker[p.Worker] = &process{
				worker: p.Worker, incarnation: p.Incarnation,
				acks: map[dataflow.CheckpointID]*snapshot.Process{}, declines: map[dataflow.CheckpointID]decline{},
			}
		}
		byWorker[p.Worker].tasks = append(byWorker[p.Worker].tasks, p.Task)
	}
	j.processes = nil
	for _, id := range slices.Sorted(maps.Keys(byWorker)) {
		j.processes = append(j.processes, byWorker[id])
	}
	j.coordinating, j.slotsMissing, j.swept = false, 0, false
}

// process is the current attempt's share on an agent's incarnation, or nil.
func (j *job) process(worker dataflow.WorkerID, incarnation dataflow.Incarnation) *process {
	for _, p := range j.processes {
		if p.worker == worker && p.incarnation == incarnation {
			return p
		}
	}
	return nil
}

func placements(from []ledger.Placement) []scheduler.Placement {
	to := make([]scheduler.Placement, len(from))
	for i, p := range from {
		to[i] = scheduler.Placement{Task: p.Task, Worker: p.Worker, Incarnation: p.Incarnation}
	}
	return to
}

// drive lets a job take its next step, if there is one. It decides from the
// ledger's record and from what the agents said; calling it once more than
// needed is harmless.
func (l *leader) drive(j *job) {
	record := l.record(j.id)
	if record == nil || j.proposing || l.jobs[j.id] != j {
		return
	}
	j.seen = record
	if e := record.Execution; e != nil && !e.Ended && e.Attempt != j.attempt {
		l.takeUp(j, e)
	}
	defer l.upgradeOn(j, record)
	switch {
	case record.Status.Terminal():
		l.retire(j)
	case record.Status == ledger.Suspended:
		l.rest(j)
	case record.Status.Ending():
		l.windDown(j, record)
	case record.Status == ledger.Created || record.Status == ledger.Restarting:
		l.place(j, record)
	default:
		l.supervise(j, record)
	}
}

// proposeFor proposes a change of the job's life and drives it on afterwards.
// done runs only if Apply accepted it.
func (l *leader) proposeFor(j *job, cmd ledger.Command, what string, done func(result any)) {
	j.proposing = true
	l.propose(cmd, func(result any, err error) {
		j.proposing = false
		if err != nil {
			l.jobLog(j).Warn(what, "err", err)
			l.agenda.after(refusedPause, func() { l.drive(j) })
			return
		}
		done(result)
		l.drive(j)
	})
}

// place starts the next attempt if there are slots for the whole job.
func (l *leader) place(j *job, record *ledger.Job) {
	l.stopCoordinating(j)
	l.stopEverywhere(j, false, "the attempt is over") // if that is news: somebody asked for a restart
	if !l.settled || j.restart != nil {
		return
	}
	if err := j.decode(record); err != nil {
		l.jobLog(j).Error("graph of a submitted job", "err", err)
		return
	}
	placed, missing := scheduler.Place(j.plan, l.views(j.id), record.Platform, j.previous)
	if missing > 0 {
		if j.slotsMissing != missing {
			l.jobLog(j).Info("waiting for slots", "missing", missing)
		}
		j.slotsMissing = missing
		return
	}
	j.slotsMissing = 0
	start := &ledger.StartAttempt{Header: l.header(freshKey()), Job: j.id, After: attemptOf(record)}
	for _, p := range placed {
		start.Placement = append(start.Placement, ledger.Placement{Task: p.Task, Worker: p.Worker, Incarnation: p.Incarnation})
	}
	l.proposeFor(j, start, "start attempt", func(result any) {
		l.takeUp(j, result.(*ledger.Execution))
		log := l.jobLog(j)
		if record.Restoring() {
			log = log.With("origin", described(record))
		}
		log.Info("attempt started", "restore", j.restore, "workers", len(j.processes))
	})
}

// takeUp makes an attempt that has just started the job's. Its workers know
// nothing of it yet.
func (l *leader) takeUp(j *job, e *ledger.Execution) {
	l.stopCoordinating(j)
	l.wakeSweeper()
	j.begin(e)
	for _, p := range j.processes {
		w := l.workers[p.worker]
		p.heard = w != nil && w.incarnation == p.incarnation
	}
}

func attemptOf(record *ledger.Job) dataflow.Attempt {
	if record.Execution == nil {
		return 0
	}
	return record.Execution.Attempt
}

// retire lets go of a job that has ended, everywhere.
func (l *leader) retire(j *job) {
	l.lastCommitsKnown(j)
	l.stopEverywhere(j, true, "the job has ended")
	if j.finisher != nil {
		j.finisher.send(l.term, stopOrder(j.id, j.attempt, true, "the job has ended"))
	}
	l.stopCoordinating(j)
	l.agenda.cancel(j.restart)
	l.agenda.cancel(j.retry)
	l.agenda.cancel(j.trial)
	for key := range j.triggers {
		l.answerTriggers(j, []string{key}, triggered{err: ledger.ErrJobEnded})
	}
	delete(l.jobs, j.id)
	l.wakeCollector()
	l.wakeSweeper()
	l.driveAll() // its slots are free
}

// scheduleRestart lets the job rest until its record's NotBefore. The record's
// time is a wall clock's, so what is left of it is bounded by the strategy.
func (l *leader) scheduleRestart(j *job, record *ledger.Job) {
	left := time.Until(time.UnixMilli(record.NotBefore))
	longest := record.Options.WithDefaults().Restart.Max
	l.restartIn(j, min(max(left, 0), 2*longest))
}

func (l *leader) restartIn(j *job, d time.Duration) {
	l.agenda.cancel(j.restart)
	j.restart = l.agenda.after(d, func() {
		j.restart = nil
		l.drive(j)
	})
}

// decode reads the graph and the plan of the record, once for each program.
func (j *job) decode(record *ledger.Job) (err error) {
	if j.plan != nil && bytes.Equal(j.decoded, record.Graph) {
		return nil
	}
	j.graph, j.plan, err = decodeGraph(record.Graph)
	j.decoded = record.Graph
	return err
}
