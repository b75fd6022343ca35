package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cairnstream/cairn/admin"
	"github.com/cairnstream/cairn/internal/procs"
)

// clusterConfig says what cluster to start.
type clusterConfig struct {
	Dir            string // everything goes below it
	ObjectStore    string // URL; empty: a folder below Dir
	Controllers    int
	Workers        int
	Slots          int // of each worker
	CoresPerWorker int
	Ports          []int // one for each controller; empty: free ones are picked
	Build          string
}

// cluster is controllers and workers as processes on this machine.
type cluster struct {
	cfg         clusterConfig
	store       string
	controllers []*procs.Process
	workers     []*procs.Process
	addresses   map[string]string // controller -> API address
	order       []string          // API addresses, as given to clients
	timeline    *timeline

	watchers sync.WaitGroup
	unwatch  context.CancelFunc
}

// startCluster starts all processes and watches the controllers. The processes
// that started are stopped if another does not.
func startCluster(ctx context.Context, cfg clusterConfig) (*cluster, error) {
	c := &cluster{cfg: cfg, store: cfg.ObjectStore, addresses: map[string]string{}, timeline: newTimeline()}
	if err := c.plan(); err != nil {
		return nil, err
	}
	for _, p := range c.all() {
		if err := p.Start(); err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	ctx, c.unwatch = context.WithCancel(context.WithoutCancel(ctx))
	for name, address := range c.addresses {
		c.watchers.Go(func() { watch(ctx, name, address, c.timeline) })
	}
	return c, nil
}

// plan decides names, folders, addresses and configurations.
func (c *cluster) plan() error {
	if c.store == "" {
		folder := filepath.Join(c.cfg.Dir, "store")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("make the object store's folder: %w", err)
		}
		c.store = "file://" + folder
	}
	ports := c.cfg.Ports
	if len(ports) == 0 {
		var err error
		if ports, err = procs.FreePorts(c.cfg.Controllers); err != nil {
			return err
		}
	}
	var peers []string
	for i := range c.cfg.Controllers {
		name, address := fmt.Sprintf("c%d", i+1), net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i]))
		c.addresses[name] = address
		c.order = append(c.order, address)
		peers = append(peers, name+"="+address)
	}
	for i := range c.cfg.Controllers {
		name := fmt.Sprintf("c%d", i+1)
		p, err := c.hidden(name, controllerVerb, controllerSpec{
			ID: name, DataDir: c.dir(name), Peers: strings.Join(peers, ","), ObjectStore: c.store, Build: c.cfg.Build,
		})
		if err != nil {
			return err
		}
		c.controllers = append(c.controllers, p)
	}
	for i := range c.cfg.Workers {
		name := fmt.Sprintf("w%d", i+1)
		p, err := c.hidden(name, workerVerb, workerSpec{ID: name, DataDir: c.dir(name), Controllers: c.order, Slots: c.cfg.Slots, Build: c.cfg.Build})
		if err != nil {
			return err
		}
		if p.CPUs, err = coresOf(len(c.workers), c.cfg.CoresPerWorker); err != nil {
			return fmt.Errorf("worker %s: %w", name, err)
		}
		c.workers = append(c.workers, p)
	}
	return nil
}

// coresOf are the cores of worker number i if each has n of its own; none if n is 0.
func coresOf(i, n int) ([]int, error) {
	if n == 0 {
		return nil, nil
	}
	cpus, err := procs.CPUs()
	if err != nil {
		return nil, err
	}
	if len(cpus) < (i+1)*n {
		return nil, fmt.Errorf("%d cores for each worker: there are %d here for more than %d workers", n, len(cpus), i)
	}
	return cpus[i*n : (i+1)*n], nil
}

// dir is a process's data directory.
func (c *cluster) dir(name string) string { return filepath.Join(c.cfg.Dir, name) }

// hidden is this executable, to be started under a hidden name.
func (c *cluster) hidden(name, verb string, spec any) (*procs.Process, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this executable: %w", err)
	}
	return &procs.Process{Name: name, Path: self, Args: []string{verb}, Env: []string{specEnv + "=" + string(text)}, Log: c.dir(name) + ".log"}, nil
}

func (c *cluster) all() []*procs.Process {
	return append(append([]*procs.Process(nil), c.controllers...), c.workers...)
}

func (c *cluster) process(name string) *procs.Process {
	for _, p := range c.all() {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// client connects to the controllers.
func (c *cluster) client() (*admin.Client, error) { return admin.Dial(c.order) }

// ready waits until a leader leads and all workers are registered. A process
// that ends meanwhile ends the wait, with the last lines of its log.
func (c *cluster) ready(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, p := range c.all() {
		gone := p.Gone()
		go func() {
			select {
			case <-gone:
				cancel(fmt.Errorf("%s ended during the start:\n%s", p.Name, p.LastWords(10)))
			case <-ctx.Done():
			}
		}()
	}
	err := c.timeline.wait(ctx, func(t *timeline) bool { return c.leaderUpLocked(t) && c.workersUpLocked(t) })
	if err != nil {
		return fmt.Errorf("start the cluster: %w", err)
	}
	return nil
}

func (c *cluster) leaderUpLocked(t *timeline) bool {
	for name := range c.addresses {
		if !t.connected[name] {
			return false
		}
	}
	return t.leader != ""
}

func (c *cluster) workersUpLocked(t *timeline) bool {
	for _, w := range c.workers {
		if t.workers[w.Name] != "connected" {
			return false
		}
	}
	return true
}

// stop ends everything: the workers first, so that no controller sees them die
// and starts recovering jobs, then the controllers together.
func (c *cluster) stop() error {
	var mu sync.Mutex
	var errs []error
	for _, group := range [][]*procs.Process{c.workers, c.controllers} {
		var wg sync.WaitGroup
		for _, p := range group {
			wg.Go(func() {
				err := p.Stop(stopGrace)
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
		wg.Wait()
	}
	c.close()
	return errors.Join(errs...)
}

// stopGrace is how long a process may take to end by itself: a leader hands
// its role over first.
const stopGrace = 3 * time.Second

// detach leaves the processes running when this one ends.
func (c *cluster) detach() error {
	defer c.close()
	var errs []error
	for _, p := range c.all() {
		errs = append(errs, p.Release())
	}
	return errors.Join(errs...)
}

func (c *cluster) close() {
	if c.unwatch != nil {
		c.unwatch()
		c.watchers.Wait()
	}
}

// below is the URL of a place below a store's.
func below(store, name string) (string, error) {
	u, err := url.Parse(store)
	if err != nil {
		return "", fmt.Errorf("object store %q: %w", store, err)
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/" + name
	return u.String(), nil
}
