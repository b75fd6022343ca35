package virtual_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/internal/virtual"
)

// counter counts what is applied to it.
type counter struct{ applied int }

func (c *counter) Apply(ha.Entry) (any, error) { c.applied++; return c.applied, nil }
func (*counter) Snapshot() (func(io.Writer) error, error) {
	return nil, errors.New("no snapshots here")
}
func (*counter) Restore(io.Reader) error { return errors.New("no snapshots here") }

// TestCluster drives a group through every kind of trouble that Cluster makes.
func TestCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := virtual.New(t, 3, func(int) ha.StateMachine { return &counter{} })
		applied := 0
		trouble := map[string]func(leader int){
			"none":    func(int) {},
			"isolate": func(leader int) { c.Isolate(leader); c.AwaitLeader(leader); c.Heal() },
			"deaf": func(leader int) { // nobody hears the leader; it hears nothing back
				c.Cut(leader, (leader+1)%3)
				c.Cut(leader, (leader+2)%3)
				c.AwaitLeader(leader)
				c.Heal()
			},
			"kill": func(leader int) { c.Kill(leader); c.AwaitLeader(leader); c.Restart(leader) },
			"stop": func(leader int) { c.Stop(leader); c.AwaitLeader(leader); c.Restart(leader) },
			"all": func(int) {
				for i := range 3 {
					c.Kill(i)
				}
				for i := range 3 {
					c.Restart(i)
				}
			},
		}
		for name, makeTrouble := range trouble {
			makeTrouble(c.Leader())
			result, err := c.Node(c.Leader()).Propose(t.Context(), nil)
			if applied++; err != nil || result != applied {
				t.Errorf("after %s: applied %v, %v, want %d", name, result, err, applied)
			}
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%v of virtual time", took)
		}
	})
}
