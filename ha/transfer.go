package ha

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// transferLag is how many entries a follower may lack to be given leadership:
// what Raft sends in one message.
const transferLag = 64

// handOver gives leadership to a peer that has all, or nearly all, of the log.
// For as long as patience it waits for one. It returns nil once this node does
// not lead.
//
// It asks no other peer: a transfer that is interrupted while the peer catches
// up can leave Raft refusing every write until the process ends (raft#696).
func (n *Node) handOver(patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		err := n.tryHandOver()
		if err == nil || !n.leads() {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("hand over leadership: %w", err)
		}
		time.Sleep(n.cfg.HeartbeatTimeout / 10)
	}
}

// tryHandOver asks the best peer. It takes up to an election timeout.
func (n *Node) tryHandOver() error {
	to, err := n.successor()
	if err != nil {
		return err
	}
	n.log.Info("handing over leadership", "to", string(to.ID))
	answer := make(chan error, 1)
	go func() { answer <- n.raft.LeadershipTransferToServer(to.ID, to.Address).Error() }()
	select {
	case err := <-answer:
		return err
	case <-n.life.failed: // a Raft that is stuck in the disk answers nothing; the process ends
		return n.life.err
	}
}

// successor is the voter that has most of the log and answered lately.
func (n *Node) successor() (best raft.Server, err error) {
	servers, err := n.servers()
	if err != nil {
		return best, err
	}
	term, last := n.raft.CurrentTerm(), n.raft.LastIndex()
	var match uint64
	for _, s := range servers {
		p := n.peers.progress(term, s.ID)
		alive := time.Since(p.contact) < n.cfg.HeartbeatTimeout
		if string(s.ID) != n.cfg.ID && s.Suffrage == raft.Voter && alive && p.match > match && p.match+transferLag >= last {
			best, match = s, p.match
		}
	}
	if match == 0 {
		return best, errors.New("no peer has the whole log")
	}
	return best, nil
}

// servers are the members by Raft's latest configuration.
func (n *Node) servers() ([]raft.Server, error) {
	f := n.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return f.Configuration().Servers, nil
}

// stuckTransfer finds a leader that refuses every write because of a transfer
// that ended long ago (raft#696). Only a restart of the process helps it.
type stuckTransfer struct {
	limit time.Duration // 3 election timeouts; a transfer takes up to one
	fail  func(error)

	mu          sync.Mutex
	first, last time.Time // of refusals in a row; zero if there are none
}

// observe gets the outcome of every write.
func (s *stuckTransfer) observe(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
		s.first = time.Time{}
		return
	}
	now := time.Now()
	if s.first.IsZero() || now.Sub(s.last) > s.limit {
		s.first = now // after a pause it is another transfer
	}
	s.last = now
	if stuck := now.Sub(s.first); stuck > s.limit {
		s.fail(fmt.Errorf("raft refuses writes for a leadership transfer that began %v ago: restart this controller", stuck))
	}
}
