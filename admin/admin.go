// Package admin is the command tree of the admin CLI as a library: cairn
// cluster, worker, job, checkpoint and state.
//
// Every command talks to any controller of the cluster, which passes the call
// to the leader; through an election the client waits and tries again. Those that
// look into checkpoints read the bucket themselves, and with --object-store they
// need no controller. With -o json the answer is one JSON document on standard
// output; errors go to standard error and say what was tried, what is wrong and
// what to do. The exit code tells the kind of failure: see ExitCode.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Exit codes.
const (
	ExitFailed      = 1   // the cluster refused or could not do it
	ExitUsage       = 2   // the command line is wrong
	ExitNotFound    = 3   // no such job or checkpoint
	ExitUnavailable = 4   // no controller or no leader answered in time
	ExitInterrupted = 130 // Ctrl-C, as shells have it
)

// ErrInterrupted is returned when a command's context was cancelled before it
// was done: by Ctrl-C. What it asked of the cluster may still happen.
var ErrInterrupted = errors.New("interrupted; what was asked of the cluster may still happen")

// ControllersEnv names the controllers when --controllers is not given.
const ControllersEnv = "CAIRN_CONTROLLERS"

// DefaultController is asked when neither flag nor environment names one: the
// address of `cairn dev`.
const DefaultController = "127.0.0.1:7401"

// UsageError is an error of the command line.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

func usagef(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// ExitCode is the process's exit code for what a command returned.
func ExitCode(err error) int {
	var usage *UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return ExitUsage
	case errors.Is(err, ErrInterrupted):
		return ExitInterrupted
	}
	switch status.Code(err) {
	case codes.NotFound:
		return ExitNotFound
	case codes.Unavailable, codes.DeadlineExceeded:
		return ExitUnavailable
	}
	return ExitFailed
}

// decoration is what gRPC wraps around the words that matter.
var decoration = regexp.MustCompile(`rpc error: code = \w+ desc = |connection error: desc = |transport: Error while dialing: |transport: `)

// Message is what a person should read of an error: the path of what was
// tried, without gRPC's decoration.
func Message(err error) string {
	text := err.Error()
	if strings.Contains(text, `connection error: desc = "`) {
		text = strings.ReplaceAll(text, `"`, "")
	}
	return decoration.ReplaceAllString(text, "")
}

// tree is what all commands share: the global flags and where output goes.
type tree struct {
	controllers string
	output      string
	timeout     time.Duration
	stdout      io.Writer
	stderr      io.Writer
}

// AddCommands adds the admin commands and their global flags to root.
func AddCommands(root *cobra.Command, stdout, stderr io.Writer) {
	t := &tree{stdout: stdout, stderr: stderr}
	for _, c := range []*cobra.Command{t.cluster(), t.worker(), t.job(), t.checkpoint(), t.savepoint(), t.state(), t.gc()} {
		f := c.PersistentFlags()
		f.StringVar(&t.controllers, "controllers", "", "controllers to ask, as a,b,c (default $"+ControllersEnv+", then "+DefaultController+")")
		f.StringVarP(&t.output, "output", "o", "table", "output format: table or json")
		f.DurationVar(&t.timeout, "timeout", 15*time.Second, "give up when no controller could answer for this long, elections included")
		completeOutput(c)
		root.AddCommand(c)
	}
}

// run wraps a command's work: it checks the global flags and connects.
func (t *tree) run(work func(ctx context.Context, c *Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := t.dial()
		if err != nil {
			return err
		}
		defer c.Close()
		ctx := cmd.Context()
		err = work(ctx, c, args)
		if err != nil && ctx.Err() != nil { // however deep in the work it was noticed
			return fmt.Errorf("%s: %w", cmd.CommandPath(), ErrInterrupted)
		}
		return err
	}
}

// checkFlags checks the global flags.
func (t *tree) checkFlags() error {
	if t.output != "table" && t.output != "json" {
		return usagef("--output %q: use table or json", t.output)
	}
	if t.timeout <= 0 {
		return usagef("--timeout %v: use a time above 0", t.timeout)
	}
	return nil
}

func (t *tree) dial() (*Client, error) {
	if err := t.checkFlags(); err != nil {
		return nil, err
	}
	c, err := Dial(t.addresses())
	if err != nil {
		return nil, err
	}
	c.Timeout = t.timeout
	return c, nil
}

func (t *tree) addresses() []string {
	list := t.controllers
	if list == "" {
		list = os.Getenv(ControllersEnv)
	}
	if list == "" {
		list = DefaultController
	}
	var addresses []string
	for a := range strings.SplitSeq(list, ",") {
		if a = strings.TrimSpace(a); a != "" {
			addresses = append(addresses, a)
		}
	}
	return addresses
}
