package controller

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/checkpointstore/catalog"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

// struck says which test ends the leader's term at which steps. Each of them takes its
// steps from here and fails when one is not passed.
var struck = map[string][]string{
	"TestLeaderDiesAtEachStepOfASavepoint": begins("savepoint: ", "stop: "),
	"TestLeaderDiesAtEachStepOfAClaim":     begins("origin: "),
	"TestLeaderDiesAtEachStepOfAClaimHere": begins("origin: "),
	"TestLeaderDiesAtEachStepOfAFork":      {StepOriginSubmitted, StepOriginDeployed},
	"TestLeaderDiesAtEachStepOfADeletion":  begins("delete: "),
	"TestLeaderDiesAtEachStepOfAPin":       begins("pin: "),
	"TestLeaderDiesAtEachStepOfAnUpgrade": append(begins("upgrade: "),
		StepSavepointBegun, StepSavepointTriggered, StepSavepointMetadata, StepSavepointComplete),
}

// begins are the steps whose names begin so.
func begins(prefixes ...string) (steps []string) {
	for _, step := range Steps {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(step, p) }) {
			steps = append(steps, step)
		}
	}
	return steps
}

// stepsOf are the steps that this test has to try.
func stepsOf(t *testing.T) []string {
	if len(struck[t.Name()]) == 0 {
		t.Fatalf("%s is not in the table of tests that end terms at steps", t.Name())
	}
	return struck[t.Name()]
}

// TestEveryStepIsStruck: every step of steps.go is listed, and some test ends a term there.
func TestEveryStepIsStruck(t *testing.T) {
	var all []string
	for _, steps := range struck {
		all = append(all, steps...)
	}
	for i, step := range Steps {
		if !slices.Contains(all, step) {
			t.Errorf("no test ends a term at step %q", step)
		}
		if slices.Contains(Steps[:i], step) {
			t.Errorf("step %q is listed twice", step)
		}
	}
	named := namedSteps(t)
	for _, step := range named {
		if !slices.Contains(Steps, step) {
			t.Errorf("step %q is not in Steps", step)
		}
	}
	if len(named) != len(Steps) {
		t.Errorf("%d steps have names, %d are listed", len(named), len(Steps))
	}
}

// namedSteps are the values of the constants of steps.go.
func namedSteps(t *testing.T) (steps []string) {
	file, err := parser.ParseFile(token.NewFileSet(), "steps.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Step") || spec.Names[0].Name == "Steps" {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, value)
		return false
	})
	return steps
}

// strike kills the leader that passes a step, once: nothing that it orders or commits after
// the step arrives anywhere.
type strike struct {
	step    string
	armed   atomic.Bool
	reached chan struct{} // closed at the step
	release chan struct{} // closed when the leader's wires are cut
	over    chan struct{} // closed when it is dead
}

// striking is inBubble for a test that kills the leader at a step. What must always hold is
// checked after the strike, and at the end also that nothing is left behind.
func striking(t *testing.T, step string, f func(t *testing.T, c *cluster, s *strike)) {
	s := &strike{step: step}
	inBubble(t, func(t *testing.T, c *cluster) {
		s.reached, s.release, s.over = make(chan struct{}), make(chan struct{}), make(chan struct{}) // of the bubble
		f(t, c, s)
		c.awaitTidy()
	}, func(cfg *Config) { cfg.Passed = s.passed })
}

func (s *strike) passed(step string) {
	if step == s.step && s.armed.CompareAndSwap(true, false) {
		close(s.reached)
		<-s.release
	}
}

// arm has the next leader that passes the step killed there.
func (s *strike) arm(c *cluster) {
	s.armed.Store(true)
	go func() {
		defer close(s.over)
		select {
		case <-s.reached:
			_, l := c.leader()
			time.AfterFunc(time.Millisecond, func() { // what was sent before the step has arrived by then
				c.cut.Store(uint64(l.term))
				close(s.release)
			})
			c.killLeader()
		case <-c.t.Context().Done():
		}
	}()
}

// await waits until the leader is dead.
func (s *strike) await(c *cluster) {
	c.t.Helper()
	c.await("the step to be passed", func() bool { return !s.armed.Load() })
	<-s.over
	c.checkCatalogs()
}

// storing has the agents put the state objects that their checkpoints name.
func (c *cluster) storing(agents []*agent) {
	for _, a := range agents {
		a.set(func() { a.writer = a.storedPart })
	}
}

func (a *agent) storedPart(p *fakeProcess, t *wire.Trigger) snapshot.Process {
	part := a.part(p, t)
	a.c.put(checkpointstore.ObjectKey(part.Objects[0], t.Checkpoint), []byte("state"))
	return part
}

// checkCatalogs checks what holds at every moment: all that a record refers to is in the
// bucket and not marked, by its job or by another, and every hold has its reason.
func (c *cluster) checkCatalogs() {
	c.t.Helper()
	_, l := c.leader()
	synctest.Wait()
	records := l.records()
	for _, record := range records {
		for r := range record.Catalog.All() {
			for _, key := range keysOf(r) {
				if !c.exists(key) {
					c.t.Errorf("checkpoint %d of %s names %s, which is gone", r.ID, record.ID, key)
				}
				for _, other := range records {
					if other.Catalog.MarkedKey(key) {
						c.t.Errorf("checkpoint %d of %s names %s, which %s has marked", r.ID, record.ID, key, other.ID)
					}
				}
			}
			for hold := range r.Holds {
				if !reasonable(l, record, r, hold) {
					c.t.Errorf("checkpoint %d of %s, which is %s, is held by %q for nothing", r.ID, record.ID, record.Status, hold)
				}
			}
		}
		if record.Status.Terminal() && record.Catalog.Owed() != nil {
			c.t.Errorf("%s is %s and owes commits", record.ID, record.Status)
		}
	}
}

// keysOf are the objects that a record names.
func keysOf(r *catalog.Record) []string {
	keys := []string{r.Metadata.Key}
	for _, run := range r.Objects {
		for n := run.Lo; n <= run.Hi; n++ {
			keys = append(keys, checkpointstore.ObjectKey(run, n))
		}
	}
	return keys
}

// reasonable tells whether what holds a record is there and needs it.
func reasonable(l *leader, record *ledger.Job, r *catalog.Record, hold string) bool {
	if hold == catalog.PinHold {
		return true
	}
	if hold == ledger.SavepointHold {
		s := record.Savepoint(r.ID)
		return s != nil && (s.Status == ledger.SavepointWriting || s.Status == ledger.SavepointCompleted && s.Format == dataflow.Native)
	}
	if child, ok := strings.CutPrefix(hold, "job:"); ok {
		started := l.record(dataflow.JobID(child))
		return started != nil && started.Origin.ByReference() && started.Origin.Job == record.ID && started.Origin.Checkpoint == r.ID && !started.Origin.Released
	}
	e := record.Execution
	return e != nil && hold == fmt.Sprintf("attempt-%d", e.Attempt) && e.Restore == r.ID
}

// awaitTidy waits until nothing in the bucket is garbage and no job is on its way
// anywhere: the sweep finds what the dead leader left.
func (c *cluster) awaitTidy() {
	c.t.Helper()
	c.checkCatalogs()
	var left []string
	deadline := time.Now().Add(2 * awaitLimit)
	for left = c.untidy(); len(left) > 0 && time.Now().Before(deadline); left = c.untidy() {
		c.pass(97 * time.Millisecond) // not in step with the checkpoints
	}
	if len(left) > 0 {
		c.t.Errorf("left behind: %s", strings.Join(left, "\n"))
	}
	c.checkCatalogs()
}

// untidy says what is not as it should be in the end.
func (c *cluster) untidy() (left []string) {
	_, l := c.leader()
	synctest.Wait()
	for _, record := range l.records() {
		if s := record.Status; s != ledger.Running && !s.Terminal() {
			left = append(left, fmt.Sprintf("job %s is %s", record.ID, s))
		}
		if !record.Catalog.Garbage().Empty() {
			left = append(left, fmt.Sprintf("job %s has marked %+v", record.ID, record.Catalog.Garbage()))
		}
		if record.Origin != nil && record.Origin.Release != "" {
			left = append(left, fmt.Sprintf("job %s has %s to delete", record.ID, record.Origin.Release))
		}
	}
	err := c.bucket.List(c.t.Context(), l.cluster()+"/", func(info objectstore.Info) error {
		if v := l.judge(info); v.garbage {
			left = append(left, fmt.Sprintf("%s: %s", info.Key, v.why))
		}
		return nil
	})
	if err != nil {
		c.t.Error(err)
	}
	return left
}
