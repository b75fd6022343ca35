package ha

import (
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// Status is what a node knows of itself and its group. It is for people and
// metrics; nothing may be decided by it, since it can be out of date.
type Status struct {
	ID      string
	Role    string // leader, follower, candidate or shutdown
	Term    uint64
	Leader  string // "" if none is known
	Last    uint64 // index of the last entry in this node's log
	Commit  uint64 // index of the last entry known to be committed
	Applied uint64 // index of the last command in the state machine
	// LeaderContact is when a follower last heard of its leader. Zero on the
	// leader, and before the first contact.
	LeaderContact time.Time
	Members       []Member // in the order of the configuration
}

// Member is a node of the group.
type Member struct {
	ID          string
	RaftAddress string
	Voter       bool
	Leader      bool
	// Known only on the leader, of the others, in its own term: up to which
	// index the member's log equals the leader's, and its last answer. A
	// member whose Match stands still while it answers is in trouble.
	Match   uint64
	Contact time.Time
}

// Status describes the node and its group. It takes no part in Raft's main
// loop, so it answers also while the disk hangs.
func (n *Node) Status() Status {
	applied, _ := n.fsm.position()
	s := Status{
		ID:      n.cfg.ID,
		Role:    strings.ToLower(n.raft.State().String()),
		Term:    n.raft.CurrentTerm(),
		Leader:  n.Leader(),
		Last:    n.raft.LastIndex(),
		Commit:  n.raft.CommitIndex(),
		Applied: applied,
	}
	if !n.leads() {
		s.LeaderContact = n.raft.LastContact()
	}
	s.Members = n.members(s.Term, s.Leader)
	return s
}

// members describes the group as this node sees it.
func (n *Node) members(term uint64, leader string) []Member {
	servers, err := n.servers()
	if err != nil {
		return nil // only a node that ends has none
	}
	members := make([]Member, 0, len(servers))
	for _, s := range servers {
		p := n.peers.progress(term, s.ID)
		members = append(members, Member{
			ID:          string(s.ID),
			RaftAddress: string(s.Address),
			Voter:       s.Suffrage == raft.Voter,
			Leader:      string(s.ID) == leader,
			Match:       p.match,
			Contact:     p.contact,
		})
	}
	return members
}

// Applied is the index of the last command that the state machine contains.
func (n *Node) Applied() uint64 {
	index, _ := n.fsm.position()
	return index
}
