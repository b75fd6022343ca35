package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/exchange"
	"github.com/cairnstream/cairn/state/changelog"
)

// Open builds a process's share of an attempt and restores it: when it returns,
// all state is there, the restore point's sink transactions are committed, later
// ones of older attempts are aborted, and channels from other processes are
// accepted. Nothing runs yet. Errors name the operator.
func Open(ctx context.Context, p *Program, cfg Config) (*Attempt, error) {
	b, err := newBuilder(p, cfg)
	if err != nil {
		return nil, fmt.Errorf("open attempt %d: %w", cfg.Attempt, err)
	}
	if err = b.openAll(ctx); err == nil {
		err = b.connect()
	}
	if err == nil {
		err = b.replaying(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open attempt %d: %w", cfg.Attempt, err), b.a.Close())
	}
	return b.a, nil
}

// builder makes an Attempt.
type builder struct {
	a        *Attempt
	restored map[dataflow.UID]*restored
	subtasks map[dataflow.TaskID]*subtask
	local    map[link]*inChannel
	inner    map[int]bool // graph edges within a vertex
	openings map[dataflow.TaskID][]*opening
	targets  []changelog.Target // stores to restore
	logs     []*changelog.Log   // theirs
}

// link is a channel of the plan.
type link struct{ edge, from, to int }

func newBuilder(p *Program, cfg Config) (*builder, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	plan, err := p.Graph.Plan()
	if err != nil {
		return nil, err
	}
	if err := checkRestore(p, cfg.Restore); err != nil {
		return nil, fmt.Errorf("restore checkpoint %d: %w", cfg.Restore.Checkpoint, err)
	}
	up, err := newUploader(&cfg)
	if err != nil {
		return nil, err
	}
	b := &builder{
		a: &Attempt{
			cfg: cfg, program: p, plan: plan, uploader: up,
			checkpoints: map[dataflow.CheckpointID]*checkpoint{},
			logs:        map[dataflow.TaskID][]*changelog.Log{}, stores: map[*changelog.Log]*keyedStore{},
			commits: commits{wake: make(chan struct{}, 1)}, groups: newSourceGroups(alignedSubtasks(p, plan)),
		},
		restored: restoredOperators(cfg.Restore), subtasks: map[dataflow.TaskID]*subtask{}, local: map[link]*inChannel{}, inner: map[int]bool{},
		openings: map[dataflow.TaskID][]*opening{},
	}
	for i := range p.Graph.Edges {
		b.inner[i] = !slices.ContainsFunc(plan.Edges, func(e dataflow.PlanEdge) bool { return e.Edge == i })
	}
	return b, b.addSubtasks()
}

// alignedSubtasks counts the subtasks of each group of aligned sources in the whole attempt.
func alignedSubtasks(p *Program, plan *dataflow.Plan) map[string]int {
	n := map[string]int{}
	for uid, op := range p.Operators {
		if s, ok := op.(interface{ alignGroup() string }); ok && s.alignGroup() != "" {
			n[s.alignGroup()] += plan.Vertices[plan.VertexOf(uid)].Parallelism
		}
	}
	return n
}

func (b *builder) addSubtasks() error {
	for _, t := range b.a.cfg.Subtasks {
		if t.Vertex < 0 || t.Vertex >= len(b.a.plan.Vertices) || t.Subtask < 0 || t.Subtask >= b.a.plan.Vertices[t.Vertex].Parallelism {
			return fmt.Errorf("the plan has no subtask %v", t)
		}
		if b.subtasks[t] != nil {
			return fmt.Errorf("subtask %v is given twice", t)
		}
		wake := make(chan struct{}, 1)
		s := &subtask{
			task: t, wake: wake, gate: newGate(wake), stats: newCounters(), host: b.a, linger: b.a.cfg.Options.BatchLinger,
			uids: b.a.plan.Vertices[t.Vertex].Operators,
		}
		for _, uid := range s.uids {
			s.nodes = append(s.nodes, b.a.program.Operators[uid].node())
		}
		s.source, _ = s.nodes[0].(reading)
		b.subtasks[t] = s
		b.a.subtasks = append(b.a.subtasks, s)
	}
	return nil
}

// openAll opens all stores, restores them together, and opens all operators.
func (b *builder) openAll(ctx context.Context) (err error) {
	if b.a.backend, err = newBackend(b.a.cfg.Options.State, b.a.cfg.LocalDir, b.stores()); err != nil {
		return err
	}
	for _, s := range b.a.subtasks {
		for i, uid := range s.uids {
			o, err := b.opening(s, i)
			if err != nil {
				return &OperatorError{UID: uid, Err: err}
			}
			b.openings[s.task] = append(b.openings[s.task], o)
		}
	}
	if err := b.restore(ctx); err != nil {
		return err
	}
	return b.openNodes(ctx)
}

// stores counts the operators with keyed state here.
func (b *builder) stores() (n int) {
	for _, s := range b.a.subtasks {
		for _, uid := range s.uids {
			if b.a.program.Operators[uid].keyed() {
				n++
			}
		}
	}
	return n
}

// openNodes opens all operators, several subtasks at a time.
func (b *builder) openNodes(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(2 * runtime.GOMAXPROCS(0)) // connectors wait for their stores
	for _, s := range b.a.subtasks {
		group.Go(func() error {
			for i, n := range s.nodes {
				if err := guard(func() error { return n.open(inner, b.openings[s.task][i]) }); err != nil {
					return &OperatorError{UID: s.uids[i], Err: err}
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	b.listSinks()
	return nil
}

// opening gathers what operator i of a subtask is opened with.
func (b *builder) opening(s *subtask, i int) (*opening, error) {
	uid, cfg := s.uids[i], &b.a.cfg
	parallelism := b.a.plan.Vertices[s.task.Vertex].Parallelism
	o := &opening{position: &s.position, restored: b.restored[uid], trace: func(e TraceEvent) { b.a.trace(s.task, e) },
		groups: b.a.groups, wake: func() { poke(s.wake) }}
	o.op = &OpContext{
		Env: connector.Env{
			Job: cfg.Job, Attempt: cfg.Attempt, UID: uid, Subtask: s.task.Subtask, Parallelism: parallelism,
			Process: cfg.Process, OpenBucket: cfg.OpenBucket, Log: cfg.Log.With("task", s.task, "uid", uid),
		},
		KeyGroups: b.a.program.Graph.KeyGroups, BatchRows: cfg.Options.BatchRows,
		RestoredWatermark: connector.NoTime, stats: s.stats,
	}
	if b.a.program.Operators[uid].keyed() {
		return o, b.openStore(s.task, i, o)
	}
	return o, nil
}

// listSinks collects the sinks with two-phase commit.
func (b *builder) listSinks() {
	for _, s := range b.a.subtasks {
		for i, n := range s.nodes {
			if t, ok := n.(interface{ twoPhase() *transactions }); ok && t.twoPhase() != nil {
				b.a.sinks = append(b.a.sinks, &sinkTask{task: s.task, uid: s.uids[i], txns: t.twoPhase()})
			}
		}
	}
}

// connect chains operators and makes the channels between subtasks.
func (b *builder) connect() error {
	for _, s := range b.a.subtasks {
		if err := b.chain(s); err != nil {
			return err
		}
	}
	for _, e := range b.a.plan.Edges {
		if err := b.receive(e); err != nil {
			return err
		}
	}
	for _, e := range b.a.plan.Edges {
		if err := b.send(e); err != nil {
			return err
		}
	}
	for _, s := range b.a.subtasks {
		s.valve, s.align = newValve(len(s.gate.channels)), newAlignment(s.gate.overtakable())
	}
	return nil
}

// chain connects the operators of a subtask.
func (b *builder) chain(s *subtask) error {
	for i, e := range b.a.program.Graph.Edges {
		from, to := slices.Index(s.uids, e.From), slices.Index(s.uids, e.To)
		if from < 0 || to < 0 || !b.inner[i] {
			continue
		}
		p, err := outputPort(s, e)
		if err == nil {
			err = p.chain(s.nodes[to], e.Input)
		}
		if err != nil {
			return fmt.Errorf("edge %q -> %q: %w", e.From, e.To, err)
		}
	}
	return nil
}

func outputPort(s *subtask, e dataflow.Edge) (port, error) {
	ports := s.nodes[slices.Index(s.uids, e.From)].ports()
	if e.Output >= len(ports) || ports[e.Output] == nil {
		return nil, fmt.Errorf("no output %d", e.Output)
	}
	return ports[e.Output], nil
}

// receive makes the receiving ends of an edge's channels.
func (b *builder) receive(e dataflow.PlanEdge) error {
	for j := range b.a.plan.Vertices[e.To].Parallelism {
		s := b.subtasks[dataflow.TaskID{Vertex: e.To, Subtask: j}]
		if s == nil {
			continue
		}
		input := b.a.program.Graph.Edges[e.Edge].Input
		in, err := b.a.program.Edges[e.Edge].inlet(s.nodes[0], input)
		if err != nil {
			return fmt.Errorf("operator %q: input %d: %w", s.uids[0], input, err)
		}
		for i := range b.a.plan.Vertices[e.From].Parallelism {
			if e.Partitioning == dataflow.Forward && i != j {
				continue
			}
			if err := b.receiveChannel(e, i, j, s, in); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) receiveChannel(e dataflow.PlanEdge, from, to int, s *subtask, in inlet) error {
	credit := b.a.cfg.Options.ChannelBatches
	of := channelOf{edge: e.Index, graphEdge: e.Edge, vertex: e.From, from: from, to: to, overtakable: overtakable(e.Partitioning)}
	if sender := b.subtasks[dataflow.TaskID{Vertex: e.From, Subtask: from}]; sender != nil {
		b.local[link{e.Index, from, to}] = s.gate.addLocal(of, credit, sender.wake, in)
		return nil
	}
	id := b.channel(e, from, to)
	if b.a.cfg.Network == nil {
		return fmt.Errorf("%w %v: its sender is elsewhere and there is no network", errTransport, id)
	}
	c := s.gate.addRemote(of, in)
	g, err := b.a.cfg.Network.Accept(id, credit, c)
	if err != nil {
		return fmt.Errorf("%w %v: accept: %w", errTransport, id, err)
	}
	c.grant = func() { g.Grant(1) }
	return nil
}

func (b *builder) channel(e dataflow.PlanEdge, from, to int) exchange.ChannelID {
	return exchange.ChannelID{Job: b.a.cfg.Job, Attempt: b.a.cfg.Attempt, Edge: e.Index, From: from, To: to}
}

// send makes the sending ends of an edge's channels.
func (b *builder) send(e dataflow.PlanEdge) error {
	edge := b.a.program.Graph.Edges[e.Edge]
	for i := range b.a.plan.Vertices[e.From].Parallelism {
		s := b.subtasks[dataflow.TaskID{Vertex: e.From, Subtask: i}]
		if s == nil {
			continue
		}
		out := &sending{
			partitioning: e.Partitioning, keyGroups: b.a.program.Graph.KeyGroups,
			rows: b.a.cfg.Options.BatchRows, stats: s.stats, channels: b.sendChannels(e, s), pressure: &s.pressure,
		}
		p, err := outputPort(s, edge)
		if err == nil {
			err = p.edge(b.a.program.Edges[e.Edge], out)
		}
		if err != nil {
			return fmt.Errorf("edge %q -> %q: %w", edge.From, edge.To, err)
		}
		s.sendings = append(s.sendings, out)
	}
	return nil
}

func (b *builder) sendChannels(e dataflow.PlanEdge, s *subtask) []*outChannel {
	from := s.task.Subtask
	var channels []*outChannel
	for j := range b.a.plan.Vertices[e.To].Parallelism {
		if e.Partitioning == dataflow.Forward && j != from {
			continue
		}
		c := &outChannel{id: b.channel(e, from, j), local: b.local[link{e.Index, from, j}], wake: func() { poke(s.wake) }}
		if c.local == nil {
			b.a.remotes = append(b.a.remotes, c)
		}
		channels = append(channels, c)
	}
	return channels
}
