package ha

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// trackedTransport notes how far each follower's log agrees with ours, which
// Raft knows and does not tell. A leader's contact with a follower says nothing:
// heartbeats go on while replication is stuck (raft#612).
type trackedTransport struct {
	raft.Transport
	preVote raft.WithPreVote

	mu    sync.Mutex
	term  uint64 // in which this node leads or last led
	peers map[raft.ServerID]progress
}

// progress is what a leader knows of a follower in its current term.
type progress struct {
	match   uint64    // the follower's log equals ours up to here
	contact time.Time // of its last answer
}

// trackTransport wraps t, which must support pre-vote: without it a member that
// was cut off disturbs the others when it comes back.
func trackTransport(t raft.Transport) (*trackedTransport, error) {
	preVote, ok := t.(raft.WithPreVote)
	if !ok {
		return nil, errors.New("transport without pre-vote")
	}
	return &trackedTransport{Transport: t, preVote: preVote, peers: map[raft.ServerID]progress{}}, nil
}

// AppendEntries sends entries or a heartbeat and notes the answer.
func (t *trackedTransport) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if err := t.Transport.AppendEntries(id, to, req, resp); err != nil {
		return err
	}
	match := req.PrevLogEntry
	if n := len(req.Entries); n > 0 {
		match = req.Entries[n-1].Index
	}
	if !resp.Success {
		match = 0
	}
	t.note(id, req.Term, match)
	return nil
}

func (t *trackedTransport) note(id raft.ServerID, term, match uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if term < t.term {
		return
	}
	if term > t.term {
		t.term = term
		clear(t.peers) // a log can lose entries between terms, never within one
	}
	p := t.peers[id]
	t.peers[id] = progress{match: max(p.match, match), contact: time.Now()}
}

// progress is what is known of a peer in a term that this node leads.
func (t *trackedTransport) progress(term uint64, id raft.ServerID) progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	if term != t.term {
		return progress{}
	}
	return t.peers[id]
}

// AppendEntriesPipeline is not offered: overlapping messages gain nothing here
// and would pass by the notes.
func (t *trackedTransport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// RequestPreVote implements raft.WithPreVote.
func (t *trackedTransport) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.preVote.RequestPreVote(id, to, req, resp)
}

// Close implements raft.WithClose.
func (t *trackedTransport) Close() error {
	if c, ok := t.Transport.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
