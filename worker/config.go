package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// Config is what an agent needs to run. The zero value of an optional field
// chooses the default that its comment names.
type Config struct {
	// ID names this worker in the cluster, for ever: 1 to 63 of a-z, 0-9, '-'
	// and '.'. Default: the machine's host name.
	ID string
	// DataDir holds artifacts, logs and the name of the cluster. It is made if
	// it does not exist and belongs to one worker of one cluster.
	DataDir string
	// Slots is how many subtasks of one vertex fit here. Default: the number
	// of processors.
	Slots int
	// Controllers are API addresses (host:port) of controllers. One that can be
	// reached is enough to find the leader.
	Controllers []string
	// Host is the name or address of this machine that other workers reach it
	// by; task processes listen on it. Default 127.0.0.1, for clusters on one
	// machine.
	Host string
	// MetricsListen is where /metrics and /debug/pprof are served. Port 0 picks
	// one, which listening.json in DataDir tells. Default: nowhere.
	MetricsListen string
	// Trace makes task processes append engine.TraceEvent lines to trace.jsonl
	// in DataDir, for measurements from outside. The file only grows.
	Trace bool
	// Build is the version that people are shown. Default "devel".
	Build string
	// Log takes what happens. Default: nothing is logged.
	Log *slog.Logger
}

const slotsMax = 4096 // more is a slip of the pen: a slot is worth about a processor

var workerID = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

// WithDefaults fills in what is not given. It does not check.
func (c Config) WithDefaults() Config {
	if c.ID == "" {
		if name, err := os.Hostname(); err == nil {
			c.ID = strings.ToLower(name)
		}
	}
	if c.Slots == 0 {
		c.Slots = runtime.NumCPU()
	}
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if c.Build == "" {
		c.Build = "devel"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports every problem of c at once. It is asked after WithDefaults.
func (c Config) Validate() error {
	var problems []error
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	if !workerID.MatchString(c.ID) {
		complain("--id %q: use 1 to 63 of a-z, 0-9, '-' and '.'", c.ID)
	}
	if c.DataDir == "" {
		complain("--data-dir is missing: a folder that belongs to this worker alone")
	}
	if c.Slots < 1 || c.Slots > slotsMax {
		complain("--slots %d: use 1 to %d", c.Slots, slotsMax)
	}
	if len(c.Controllers) == 0 {
		complain("--controllers is missing: the API addresses of the controllers, such as 10.0.0.1:7070,10.0.0.2:7070")
	}
	for _, address := range c.Controllers {
		if err := checkAddress(address, 1); err != nil {
			complain("--controllers: %w", err)
		}
	}
	if c.Host == "" || strings.ContainsAny(c.Host, " /") {
		complain("--host %q: a name or address of this machine, without a port", c.Host)
	}
	if c.MetricsListen != "" {
		if err := checkAddress(c.MetricsListen, 0); err != nil {
			complain("--metrics-listen: %w", err)
		}
	}
	return errors.Join(problems...)
}

func checkAddress(address string, portMin int) error {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %q: want host:port", address)
	}
	if port, err := strconv.Atoi(text); err != nil || port < portMin || port > 65535 {
		return fmt.Errorf("address %q: port must be %d to 65535", address, portMin)
	}
	return nil
}
