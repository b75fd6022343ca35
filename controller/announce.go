package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/wire"
)

const (
	// announceEvery is how often a follower shows itself to the leader.
	announceEvery = time.Second
	// announceTimeout is shorter, so that one that hangs delays none.
	announceTimeout = 800 * time.Millisecond
)

// contacts are when and how each member announced itself last, to this process.
type contacts struct {
	mu   sync.Mutex
	last map[string]contact
}

type contact struct {
	at      time.Time
	applied uint64
}

func (c *contacts) note(id string, applied uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.last = map[string]contact{}
	}
	c.last[id] = contact{time.Now(), applied}
}

func (c *contacts) of(id string) contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[id]
}

// membersService is what the leader serves to the other controllers.
type membersService struct {
	wire.UnimplementedMembersServer
	c *Controller
}

// Announce commits what a member tells of itself, if that is new.
func (s membersService) Announce(ctx context.Context, r *wire.AnnounceRequest) (*wire.AnnounceResponse, error) {
	l, err := s.c.leading(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	if _, ok := findPeer(s.c.cfg.Peers, r.Controller); !ok {
		return nil, statusOf(fmt.Errorf("controller %q is not among the peers of %s: %w", r.Controller, s.c.cfg.ID, errInvalid))
	}
	s.c.contacts.note(r.Controller, r.Applied)
	return &wire.AnnounceResponse{}, statusOf(l.announce(ctx, ledger.AnnounceController{
		Controller: r.Controller, APIAddress: r.ApiAddress, RaftAddress: r.RaftAddress, MaxVersion: int(r.MaxVersion), Build: r.Build,
	}))
}

// announce has Raft hold a member's words, unless it does already.
func (l *leader) announce(ctx context.Context, cmd ledger.AnnounceController) error {
	var known bool
	l.ledger.View(func(s *ledger.State) {
		m := s.Members[cmd.Controller]
		known = m != nil && *m == ledger.Member{
			ID: cmd.Controller, APIAddress: cmd.APIAddress, RaftAddress: cmd.RaftAddress, MaxVersion: cmd.MaxVersion, Build: cmd.Build,
		}
	})
	if known {
		return nil
	}
	cmd.Header = l.header("")
	_, err := l.commit(ctx, &cmd)
	return err
}

func (l *leader) announceSelf(ctx context.Context) error {
	self, _ := l.cfg.self()
	return l.announce(ctx, ledger.AnnounceController{
		Controller: l.cfg.ID, APIAddress: l.cfg.Advertise, RaftAddress: self.Raft, MaxVersion: ledger.Version, Build: l.cfg.Build,
	})
}

// announceForever shows this controller to whoever leads, until ctx ends. It
// also confirms the bucket as soon as the cluster has its name.
func (c *Controller) announceForever(ctx context.Context) error {
	ticker := time.NewTicker(announceEvery)
	defer ticker.Stop()
	for {
		if c.cluster() != "" {
			if err := c.claim(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
		if leader := c.replica.Leader(); leader != "" && leader != c.cfg.ID {
			if err := c.announceTo(ctx, c.peers[leader]); err != nil {
				c.log.Debug("announce", "leader", leader, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (c *Controller) announceTo(ctx context.Context, conn grpc.ClientConnInterface) error {
	if conn == nil {
		return fmt.Errorf("leader is no peer: %w", errNoLeader)
	}
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	self, _ := c.cfg.self()
	_, err := wire.NewMembersClient(conn).Announce(ctx, &wire.AnnounceRequest{
		Controller: c.cfg.ID, ApiAddress: c.cfg.Advertise, RaftAddress: self.Raft, MaxVersion: ledger.Version,
		Build: c.cfg.Build, Applied: c.applied(),
	})
	return err
}
