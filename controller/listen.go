package controller

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Listening is what a running controller tells in listening.json, in its data
// directory: the addresses that it really has.
type Listening struct {
	ID      string `json:"id"`
	PID     int    `json:"pid"`
	API     string `json:"api"`
	Raft    string `json:"raft"`
	Metrics string `json:"metrics,omitempty"`
}

// ListeningFile is the name of that file.
const ListeningFile = "listening.json"

// listeners are open before anything else starts, so that an address in use is
// told at once and port 0 has become a number.
type listeners struct {
	api, raft, metrics net.Listener
}

// listen opens all listeners and puts the addresses they got into cfg.
func listen(cfg *Config) (*listeners, error) {
	l := &listeners{}
	open := func(to *net.Listener, what, address string) error {
		if address == "" {
			return nil
		}
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("listen for %s: %w", what, err)
		}
		*to = listener
		return nil
	}
	own, _ := cfg.self()
	err := errors.Join(open(&l.api, "the API", cfg.Listen), open(&l.raft, "raft", own.Raft), open(&l.metrics, "metrics", cfg.MetricsListen))
	if err != nil {
		l.close()
		return nil, err
	}
	for i, p := range cfg.Peers {
		if p.ID == cfg.ID {
			cfg.Peers[i].API, cfg.Peers[i].Raft = picked(p.API, l.api), picked(p.Raft, l.raft)
			setDefault(&cfg.Advertise, cfg.Peers[i].API)
		}
	}
	return l, nil
}

// picked is address with the port that was picked if it had none.
func picked(address string, listener net.Listener) string {
	host, port, err := splitAddress(address)
	if err != nil || port != 0 {
		return address
	}
	_, port, err = splitAddress(listener.Addr().String())
	if err != nil {
		return listener.Addr().String()
	}
	return net.JoinHostPort(host, fmt.Sprint(port))
}

// close closes what nobody else has closed; closing twice is harmless.
func (l *listeners) close() {
	for _, listener := range []net.Listener{l.api, l.raft, l.metrics} {
		if listener != nil {
			listener.Close()
		}
	}
}

// tellListening writes listening.json whole, and one log line.
func (c *Controller) tellListening(l *listeners) error {
	told := Listening{ID: c.cfg.ID, PID: os.Getpid(), API: l.api.Addr().String(), Raft: l.raft.Addr().String()}
	if l.metrics != nil {
		told.Metrics = l.metrics.Addr().String()
	}
	data, err := json.MarshalIndent(told, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", ListeningFile, err)
	}
	path := filepath.Join(c.cfg.DataDir, ListeningFile)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("tell addresses: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("tell addresses: %w", err)
	}
	c.log.Info("listening", "api", told.API, "raft", told.Raft, "metrics", told.Metrics)
	return nil
}
