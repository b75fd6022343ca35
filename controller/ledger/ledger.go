package ledger

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/ha"
)

// State is everything that Raft holds.
//
// What the maps point to is immutable: a change replaces the pointer. So a *Job
// taken out of View stays readable for ever, as the job was at that moment, and
// nobody may write to it. The maps themselves change with every entry: they
// are only to be read inside View.
type State struct {
	Cluster     string        // the cluster's incarnation; empty before its first leader
	ObjectStore string        // the URL that the cluster was made for
	Leader      string        // the controller that led last
	Term        dataflow.Term // in which it began to
	Index       uint64        // of the entry applied last
	Now         int64         // the latest time that any command carried; Unix milliseconds
	Members     map[string]*Member
	Workers     map[dataflow.WorkerID]*Worker // ended ones too, until they are forgotten
	Jobs        map[dataflow.JobID]*Job

	ended fifo[endedIncarnation] // the same incarnation never registers again
	keys  fifo[remembered]       // first results by idempotency key
}

// endedIncarnation is one start of an agent that is over for Raft.
type endedIncarnation struct {
	Worker      dataflow.WorkerID    `cbor:"1,keyasint"`
	Incarnation dataflow.Incarnation `cbor:"2,keyasint"`
}

func newState() *State {
	return &State{
		Members: map[string]*Member{},
		Workers: map[dataflow.WorkerID]*Worker{},
		Jobs:    map[dataflow.JobID]*Job{},
		ended:   newFIFO(endedMax, endedIncarnation.name),
		keys:    newFIFO(keysMax, remembered.name),
	}
}

func (e endedIncarnation) name() string { return string(e.Worker) + "\x00" + string(e.Incarnation) }

// freeze returns a copy that later changes of s do not touch.
func (s *State) freeze() *State {
	f := *s
	f.Members, f.Workers, f.Jobs = maps.Clone(s.Members), maps.Clone(s.Workers), maps.Clone(s.Jobs)
	f.ended, f.keys = s.ended.freeze(), s.keys.freeze()
	return &f
}

// JobIDs are all jobs' ids, sorted.
func (s *State) JobIDs() []dataflow.JobID { return slices.Sorted(maps.Keys(s.Jobs)) }

// WorkerIDs are all workers' ids, sorted.
func (s *State) WorkerIDs() []dataflow.WorkerID { return slices.Sorted(maps.Keys(s.Workers)) }

// Live tells whether Raft takes this incarnation for the worker's living one.
func (s *State) Live(w dataflow.WorkerID, inc dataflow.Incarnation) bool {
	k := s.Workers[w]
	return k != nil && !k.Ended && k.Incarnation == inc
}

// EndedIncarnation tells whether Raft has ended the incarnation.
func (s *State) EndedIncarnation(w dataflow.WorkerID, inc dataflow.Incarnation) bool {
	_, ended := s.ended.get(endedIncarnation{w, inc}.name())
	return ended
}

// MinVersion is the newest command version that all these members have
// announced to apply (I8): a leader proposes nothing newer. Members that have
// announced nothing count as 1, the version in which members announce.
func (s *State) MinVersion(members []string) int {
	version := Version
	for _, id := range members {
		announced := 1
		if m := s.Members[id]; m != nil {
			announced = m.MaxVersion
		}
		version = min(version, announced)
	}
	return version
}

// ArtifactsInUse are the SHA-256 sums of the artifacts that must be kept: those of
// jobs that have not ended and of jobs that have retained checkpoints.
func (s *State) ArtifactsInUse() map[string]bool {
	use := map[string]bool{}
	for _, j := range s.Jobs {
		if !j.Status.Terminal() || j.Catalog.Last() != nil {
			use[j.Artifact] = true
			if u := j.upgrading(); u != nil {
				use[u.Other.Artifact] = true
			}
		}
	}
	return use
}

// Ledger is the replicated state machine. It implements ha.StateMachine; reads
// may come from any goroutine.
type Ledger struct {
	observe func([]Event)

	mu    sync.RWMutex
	state *State
}

var _ ha.StateMachine = (*Ledger)(nil)

// New returns an empty ledger. observe, if not nil, is told after each applied
// entry what it made happen, in order, on the applying goroutine: it must be
// quick and must not call Apply. A restore tells nothing.
func New(observe func([]Event)) *Ledger {
	if observe == nil {
		observe = func([]Event) {}
	}
	return &Ledger{observe: observe, state: newState()}
}

// View calls f with the state, which does not change meanwhile. f must be quick,
// must not write, and must not keep the maps; see State for what it may keep.
func (l *Ledger) View(f func(*State)) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	f(l.state)
}

// Job returns a job as it is now, or ErrNoJob. It must not be written to.
func (l *Ledger) Job(id dataflow.JobID) (*Job, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if j := l.state.Jobs[id]; j != nil {
		return j, nil
	}
	return nil, refuse(ErrNoJob, "job %s", id)
}

// Apply takes the next entry of the log. The result is what the command's comment
// says, or an error value that is one of the refusals; nil if the comment names
// none. The error return is for commands that this build can not read.
func (l *Ledger) Apply(e ha.Entry) (result any, err error) {
	c, err := Decode(e.Data)
	if err != nil {
		return nil, fmt.Errorf("apply entry %d: %w", e.Index, err)
	}
	l.mu.Lock()
	t := transition{State: l.state, entry: e, header: c.header()}
	result = t.run(c)
	l.mu.Unlock()
	if len(t.events) > 0 {
		l.observe(t.events)
	}
	return result, nil
}

// Hash is the SHA-256 of the snapshot: replicas that applied the same entries
// have the same. It costs as much as a snapshot.
func (l *Ledger) Hash() ([sha256.Size]byte, error) {
	persist, err := l.Snapshot()
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	h := sha256.New()
	if err := persist(h); err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("hash ledger: %w", err)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
