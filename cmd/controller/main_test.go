//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/controller"
	"github.com/cairnstream/cairn/internal/daemon"
)

// parse runs the command line without starting anything.
func parse(t *testing.T, args ...string) (controller.Config, error) {
	t.Helper()
	var got controller.Config
	start := func(_ context.Context, cfg controller.Config) error { got = cfg; return nil }
	err := daemon.Run(t.Context(), program(start), args, &bytes.Buffer{}, &bytes.Buffer{})
	return got, err
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "controller.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagsWinOverTheFile(t *testing.T) {
	file := writeConfig(t, `
id: c1
peers: c1=127.0.0.1:7101,c2=127.0.0.1:7201
data-dir: /var/lib/cairn/c1
object-store: file:///var/lib/cairn/bucket
raft-timeout: 300ms
assume-exclusive: true
`)
	cfg, err := parse(t, "--config", file, "--id", "c2", "--raft-timeout", "150ms")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.ID != "c2" || cfg.RaftTimeout != 150*time.Millisecond {
		t.Errorf("flags did not win: id %q, raft timeout %v", cfg.ID, cfg.RaftTimeout)
	}
	if cfg.DataDir != "/var/lib/cairn/c1" || !cfg.AssumeExclusive || len(cfg.Peers) != 2 || cfg.Peers[1].Raft != "127.0.0.1:7202" {
		t.Errorf("the file's settings are lost: %+v", cfg)
	}
}

func TestUsageErrors(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"unknown flag":    {[]string{"--peer", "x"}, "unknown flag: --peer"},
		"argument":        {[]string{"start"}, `unknown command "start"`},
		"log level":       {[]string{"--log-level", "loud"}, `--log-level "loud"`},
		"log format":      {[]string{"--log-format", "xml"}, `--log-format "xml"`},
		"peers":           {[]string{"--peers", "c1"}, `peer "c1": want id=host:port`},
		"unknown setting": {[]string{"--config", writeConfig(t, "datadir: x")}, `no setting "datadir"`},
		"bad value":       {[]string{"--config", writeConfig(t, "raft-timeout: soon")}, "raft-timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want something with %q", err, test.want)
			}
		})
	}
}

// TestRunTellsAllProblems shows that a wrong configuration costs nothing: it
// is refused, whole, before anything is opened.
func TestRunTellsAllProblems(t *testing.T) {
	_, err := parse(t, []string{"--raft-timeout", "1ms"}...)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"--id", "--data-dir", "--object-store", "--raft-timeout", "--peers"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not tell of %s", err, want)
		}
	}
}

// TestExampleConfiguration: the file in docs works as it stands.
func TestExampleConfiguration(t *testing.T) {
	cfg, err := parse(t, "--config", "../../docs/controller.yaml")
	if err != nil || cfg.ID != "c1" || len(cfg.Peers) != 3 || cfg.RaftTimeout != 200*time.Millisecond {
		t.Errorf("docs/controller.yaml: %+v, %v", cfg, err)
	}
}
