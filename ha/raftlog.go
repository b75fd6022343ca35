package ha

import (
	"context"
	"io"
	"log"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// noisy are lines that Raft repeats many times a second while a peer is away.
// The node reports changes of leader itself.
var noisy = []string{
	"failed to heartbeat", "failed to appendEntries", "failed to contact", "failed to make request",
	"failed to get previous log", "failed to flush response", "failed to decode incoming command",
	"rejecting", "nacked", "appendEntries rejected", "duplicate requestVote",
}

// raftLog passes Raft's log lines on to slog. Raft's information is our
// debugging; its errors are warnings, as Raft goes on after them. What ends the
// node is reported by the node.
type raftLog struct {
	hclog.Logger // answers what Raft never asks
	log          *slog.Logger
	implied      []any
}

func newRaftLog(l *slog.Logger) hclog.Logger {
	return raftLog{Logger: hclog.NewNullLogger(), log: l.With("component", "raft")}
}

// Log implements hclog.Logger.
func (r raftLog) Log(level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch {
	case quiet(msg):
	case level == hclog.Error:
		to = slog.LevelWarn
	case level == hclog.Warn:
		to = slog.LevelInfo
	}
	r.log.Log(context.Background(), to, msg, args...)
}

func quiet(msg string) bool {
	for _, prefix := range noisy {
		if strings.HasPrefix(msg, prefix) {
			return true
		}
	}
	return false
}

func (r raftLog) Trace(msg string, args ...any) { r.Log(hclog.Trace, msg, args...) }
func (r raftLog) Debug(msg string, args ...any) { r.Log(hclog.Debug, msg, args...) }
func (r raftLog) Info(msg string, args ...any)  { r.Log(hclog.Info, msg, args...) }
func (r raftLog) Warn(msg string, args ...any)  { r.Log(hclog.Warn, msg, args...) }
func (r raftLog) Error(msg string, args ...any) { r.Log(hclog.Error, msg, args...) }

// With implements hclog.Logger.
func (r raftLog) With(args ...any) hclog.Logger {
	return raftLog{Logger: r.Logger, log: r.log.With(args...), implied: append(r.implied, args...)}
}

// ImpliedArgs implements hclog.Logger.
func (r raftLog) ImpliedArgs() []any { return r.implied }

// Named implements hclog.Logger. Raft's names say nothing that the line doesn't.
func (r raftLog) Named(string) hclog.Logger { return r }

// ResetNamed implements hclog.Logger.
func (r raftLog) ResetNamed(string) hclog.Logger { return r }

// StandardLogger implements hclog.Logger.
func (r raftLog) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(r.log.Handler(), slog.LevelDebug)
}

// StandardWriter implements hclog.Logger.
func (r raftLog) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	return r.StandardLogger(o).Writer()
}
