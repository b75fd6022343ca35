package engine

import (
	"sync"
	"sync/atomic"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/exchange"
)

// element is what waits in a channel: a batch that was handed over here, a
// frame from elsewhere not decoded yet, or a control element.
type element struct {
	kind    exchange.FrameKind
	more    bool     // a watermark follows at once: see exchange.Frame
	arg     int64    // as in exchange.Frame
	trigger *Trigger // of a barrier
	batch   any      // *Batch[T] handed over within the process
	payload []byte
}

// gate is the input of a subtask: a queue for each of its channels, and one
// place to wait for all of them.
//
// The queues are bounded: batches by credit, watermarks and idleness because
// only the last of a row counts, barriers and ends by how few there are.
type gate struct {
	wake chan struct{} // one token: look again
	told atomic.Bool   // there is news

	mu       sync.Mutex
	channels []*inChannel // append-only until the attempt runs
	next     int          // round robin
	news     []news       // not read yet, by arrival
	err      error        // a channel broke
}

// news is what the subtask learns of a channel before it comes to it in line: a barrier that
// may overtake, or that there will be none.
type news struct {
	channel   int
	trigger   *Trigger              // the channel holds its barrier; or
	cancelled dataflow.CheckpointID // this checkpoint is given up
}

// inChannel is one channel of a gate.
type inChannel struct {
	g       *gate
	index   int
	of      channelOf
	queue   []element
	head    int
	blocked bool // alignment holds it back

	credit  int           // batches that may still come; local channels only
	starved bool          // the sender has found no credit
	sender  chan struct{} // wakes the sender, which is here; one token
	grant   func()        // remote channels: gives the sender one credit
	inlet   inlet         // decodes and processes what comes
}

// channelOf says which channel of the plan it is.
type channelOf struct {
	edge        int // of the plan
	from, to    int // subtasks
	vertex      int // upstream
	graphEdge   int
	overtakable bool // barriers may overtake what it holds
}

func newGate(wake chan struct{}) *gate { return &gate{wake: wake} }

// addLocal adds a channel whose sender is in this process and woken by sender.
func (g *gate) addLocal(of channelOf, credit int, sender chan struct{}, in inlet) *inChannel {
	c := g.addRemote(of, in)
	c.credit, c.sender = credit, sender
	return c
}

// addRemote adds a channel whose sender is in another process.
func (g *gate) addRemote(of channelOf, in inlet) *inChannel {
	c := &inChannel{g: g, index: len(g.channels), of: of, inlet: in}
	g.channels = append(g.channels, c)
	return c
}

// overtakable tells of each channel whether barriers may overtake what it holds.
func (g *gate) overtakable() []bool {
	may := make([]bool, len(g.channels))
	for i, c := range g.channels {
		may[i] = c.of.overtakable
	}
	return may
}

// poke leaves a token in a channel that holds one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// poll takes the next element of the channels that are not blocked, in turn.
func (g *gate) poll() (int, element, bool, error) { return g.pollIf(nil) }

// pollIf is poll for channels whose next element may be taken; nil: any. News is read first: a
// barrier never comes before the news of it.
func (g *gate) pollIf(may func(element) bool) (int, element, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return 0, element{}, false, g.err
	}
	if len(g.news) > 0 {
		return 0, element{}, false, nil
	}
	for range g.channels {
		i := g.next
		g.next = (g.next + 1) % len(g.channels)
		c := g.channels[i]
		if !c.blocked && c.head < len(c.queue) && (may == nil || may(c.queue[c.head])) {
			return i, c.take(), true, nil
		}
	}
	return 0, element{}, false, nil
}

// take removes the first element; the gate is locked.
func (c *inChannel) take() element {
	e := c.queue[c.head]
	c.queue[c.head] = element{}
	if c.head++; c.head == len(c.queue) {
		c.queue, c.head = c.queue[:0], 0
	}
	return e
}

// readNews takes the news, and puts it into the memory of what was taken before.
func (g *gate) readNews(into []news) []news {
	into = into[:0]
	g.mu.Lock()
	defer g.mu.Unlock()
	into = append(into, g.news...)
	clear(g.news)
	g.news = g.news[:0]
	g.told.Store(false)
	return into
}

func (g *gate) tellLocked(n news) {
	g.news = append(g.news, n)
	g.told.Store(true)
}

// before copies the batches that wait in a channel before the barrier of a checkpoint.
func (g *gate) before(i int, id dataflow.CheckpointID) (batches []element) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.channels[i]
	for _, e := range c.queue[c.head:] {
		switch {
		case e.kind == exchange.Batch:
			batches = append(batches, e)
		case e.kind == exchange.Barrier && e.trigger.ID == id:
			return batches
		}
	}
	return batches
}

// queued is how many batches wait in a channel before the barrier of a checkpoint.
func (g *gate) queued(i int, id dataflow.CheckpointID) int { return len(g.before(i, id)) }

// block holds a channel back, or lets all go on.
func (g *gate) block(i int) {
	g.mu.Lock()
	g.channels[i].blocked = true
	g.mu.Unlock()
}

func (g *gate) unblockAll() {
	g.mu.Lock()
	for _, c := range g.channels {
		c.blocked = false
	}
	g.mu.Unlock()
}

// push appends an element and wakes the subtask.
func (c *inChannel) push(e element) {
	c.g.mu.Lock()
	c.pushLocked(e)
	c.g.mu.Unlock()
	poke(c.g.wake)
}

func (c *inChannel) pushLocked(e element) {
	switch {
	case e.kind == exchange.Cancel:
		c.g.tellLocked(news{channel: c.index, cancelled: dataflow.CheckpointID(e.arg)})
		return
	case e.kind == exchange.Barrier && e.trigger.mayOvertake():
		c.g.tellLocked(news{channel: c.index, trigger: e.trigger})
	}
	if n := len(c.queue); n > c.head && c.queue[n-1].kind == e.kind && (e.kind == exchange.Watermark || e.kind == exchange.Idle) {
		c.queue[n-1] = e
		return
	}
	if c.head > 0 && len(c.queue) == cap(c.queue) {
		n := copy(c.queue, c.queue[c.head:])
		clear(c.queue[n:])
		c.queue, c.head = c.queue[:n], 0
	}
	c.queue = append(c.queue, e)
}

// tryPush is push for a batch, if there is credit.
func (c *inChannel) tryPush(e element) bool {
	c.g.mu.Lock()
	ok := c.credit > 0
	if ok {
		c.credit--
		c.pushLocked(e)
	}
	c.starved = !ok
	c.g.mu.Unlock()
	if ok {
		poke(c.g.wake)
	}
	return ok
}

// done gives back the credit of a batch that has been processed.
func (c *inChannel) done() {
	if c.grant != nil {
		c.grant()
		return
	}
	c.g.mu.Lock()
	c.credit++
	starved := c.starved
	c.starved = false
	c.g.mu.Unlock()
	if starved {
		poke(c.sender)
	}
}

// Receive takes a frame from another process: exchange.Receiver.
func (c *inChannel) Receive(f exchange.Frame) {
	e := element{kind: f.Kind, arg: f.Arg, payload: f.Payload}
	if f.Kind == exchange.Barrier {
		e.trigger = triggerOf(dataflow.CheckpointID(f.Arg), f.Payload)
	}
	c.push(e)
}

// Broken ends the attempt: without this channel it can not go on.
func (c *inChannel) Broken(err error) {
	c.g.mu.Lock()
	if c.g.err == nil {
		c.g.err = err
	}
	c.g.mu.Unlock()
	poke(c.g.wake)
}

var _ exchange.Receiver = (*inChannel)(nil)
