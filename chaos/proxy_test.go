package chaos

import (
	"net"
	"sync"
	"testing"
)

// proxy passes TCP connections on, until it is told to be a broken network.
type proxy struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu    sync.Mutex
	state proxyState
	open  map[net.Conn]bool // both ends of all connections
}

// proxyState is how the network is.
type proxyState int

const (
	passing  proxyState = iota
	hanging             // connections come about, and nothing moves
	refusing            // connections are reset at once
)

// startProxy passes what comes to its address on to another, for as long as the test.
func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{listener: listener, to: to, open: map[net.Conn]bool{}}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		p.listener.Close()
		p.become(refusing)
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// become changes the network. What was open before does not survive a change: a
// network that comes back has forgotten its connections.
func (p *proxy) become(state proxyState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = state
	if state == hanging {
		return // open ones stay, and are silent
	}
	for conn := range p.open {
		conn.Close()
	}
	clear(p.open)
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // the test is over
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.take(client, server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pass(client, server) })
	both.Go(func() { p.pass(server, client) })
	both.Wait()
}

// take remembers a connection; false if the network refuses it.
func (p *proxy) take(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == refusing {
		return false
	}
	for _, c := range conns {
		p.open[c] = true
	}
	return true
}

// pass moves bytes one way until either end closes. In a network that hangs it
// swallows them: the connection can only time out, or be closed.
func (p *proxy) pass(from, to net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.swallows() {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) swallows() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state == hanging
}
