package task

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/exchange"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/wire"
)

// openBucket opens the cluster's store with this machine's credentials. It must
// exist: an empty folder in its place would look like a cluster without state.
func openBucket(ctx context.Context, url string) (objectstore.Bucket, error) {
	return open.Open(ctx, url, open.Options{})
}

// openConnector opens what a job reads from or writes to. A sink's folder is
// made if it does not exist, as every user of a file sink expects.
func openConnector(ctx context.Context, url string) (objectstore.Bucket, error) {
	return open.Open(ctx, url, open.Options{Create: true})
}

// configure turns the order into the engine's words. What was committed must be
// what this program would run: otherwise state would go to the wrong places.
func (e *execution) configure() (engine.Config, *dataflow.Plan, error) {
	var graph dataflow.Graph
	var options dataflow.Options
	if err := json.Unmarshal(e.order.Graph, &graph); err != nil {
		return engine.Config{}, nil, fmt.Errorf("read the committed graph: %w", err)
	}
	if err := json.Unmarshal(e.order.Options, &options); err != nil {
		return engine.Config{}, nil, fmt.Errorf("read the committed options: %w", err)
	}
	program := e.process.program
	if committed, own := graph.Fingerprint(), program.Graph.Fingerprint(); committed != own {
		return engine.Config{}, nil, fmt.Errorf("the program's graph (%.12s) is not the one that was committed (%.12s): "+
			"the program must build the same graph every time it starts with the same arguments", own, committed)
	}
	plan, err := program.Graph.Plan()
	if err != nil {
		return engine.Config{}, nil, err
	}
	p := e.process
	job := dataflow.JobID(e.order.Job)
	return engine.Config{
		Cluster: e.order.Cluster, Job: job, Attempt: e.attempt, Process: p.id,
		Options: options.WithDefaults(), Subtasks: e.subtasks(), Bucket: p.bucket,
		ObjectPrefix: checkpointstore.RunPrefix(e.order.Cluster, job, e.attempt, p.id),
		LocalDir:     p.welcome.StateDir,
		Events:       e, OpenBucket: p.openConnector, Log: e.log,
	}, plan, nil
}

// subtasks are those that the placement gives to this start of this agent.
func (e *execution) subtasks() []dataflow.TaskID {
	var mine []dataflow.TaskID
	w := e.process.welcome
	for _, p := range e.order.Placements {
		if p.Worker == w.Worker && p.Incarnation == w.Incarnation {
			mine = append(mine, taskOf(p.Subtask))
		}
	}
	return mine
}

func taskOf(s *wire.Subtask) dataflow.TaskID {
	return dataflow.TaskID{Vertex: int(s.GetVertex()), Subtask: int(s.GetIndex())}
}

func subtaskOf(t dataflow.TaskID) *wire.Subtask {
	return &wire.Subtask{Vertex: int32(t.Vertex), Index: int32(t.Subtask)}
}

// directory finds the process that holds a subtask. Where subtasks are is known
// from the start, where their processes listen only with the Start order.
type directory struct {
	plan    *dataflow.Plan
	workers map[dataflow.TaskID]string

	mu        sync.Mutex
	addresses map[string]string // by worker
}

func newDirectory(plan *dataflow.Plan, placements []*wire.Placement) *directory {
	d := &directory{plan: plan, workers: map[dataflow.TaskID]string{}, addresses: map[string]string{}}
	for _, p := range placements {
		d.workers[taskOf(p.Subtask)] = p.Worker
	}
	return d
}

func (d *directory) set(peers []*wire.Peer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range peers {
		d.addresses[p.Worker] = p.ExchangeAddress
	}
}

// resolve names the process at the receiving end of a channel.
func (d *directory) resolve(id exchange.ChannelID) (exchange.Peer, error) {
	if id.Edge < 0 || id.Edge >= len(d.plan.Edges) {
		return exchange.Peer{}, fmt.Errorf("the plan has no edge %d", id.Edge)
	}
	t := dataflow.TaskID{Vertex: d.plan.Edges[id.Edge].To, Subtask: id.To}
	worker, ok := d.workers[t]
	if !ok {
		return exchange.Peer{}, fmt.Errorf("subtask %s is placed nowhere", t)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	address := d.addresses[worker]
	if address == "" {
		return exchange.Peer{}, fmt.Errorf("subtask %s: the address of worker %s is not known", t, worker)
	}
	return exchange.Peer{Worker: worker, Address: address}, nil
}
