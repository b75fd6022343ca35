//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/internal/daemon"
	"github.com/cairnstream/cairn/worker"
)

// parse runs the command line without starting anything.
func parse(t *testing.T, args ...string) (worker.Config, error) {
	t.Helper()
	var got worker.Config
	start := func(_ context.Context, cfg worker.Config) error { got = cfg; return nil }
	err := daemon.Run(t.Context(), program(start), args, &bytes.Buffer{}, &bytes.Buffer{})
	return got, err
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagsWinOverTheFile(t *testing.T) {
	file := writeConfig(t, `
id: w1
data-dir: /var/lib/cairn/w1
controllers: 10.0.0.1:7070,10.0.0.2:7070
slots: 8
trace: true
`)
	cfg, err := parse(t, "--config", file, "--id", "w2", "--slots", "4")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.ID != "w2" || cfg.Slots != 4 {
		t.Errorf("flags did not win: id %q, %d slots", cfg.ID, cfg.Slots)
	}
	if cfg.DataDir != "/var/lib/cairn/w1" || !cfg.Trace || !slices.Equal(cfg.Controllers, []string{"10.0.0.1:7070", "10.0.0.2:7070"}) {
		t.Errorf("the file's settings are lost: %+v", cfg)
	}
}

func TestUsageErrors(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"unknown flag":    {[]string{"--slot", "4"}, "--slot"},
		"argument":        {[]string{"start"}, "start"},
		"log level":       {[]string{"--log-level", "loud"}, "--log-level"},
		"missing file":    {[]string{"--config", "/does/not/exist"}, "--config"},
		"unknown setting": {[]string{"--config", writeConfig(t, "slot: 4")}, `no setting "slot"`},
		"bad value":       {[]string{"--config", writeConfig(t, "slots: many")}, "slots"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(t, test.args...); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want it to say %q", err, test.says)
			}
		})
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	_, err := parse(t, []string{"--id", "W 1", "--slots", "-1"}...)
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, flag := range []string{"--id", "--slots", "--data-dir", "--controllers"} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%q does not mention %s: every problem is told at once", err, flag)
		}
	}
}

// TestExampleConfiguration: the file in docs works as it stands.
func TestExampleConfiguration(t *testing.T) {
	cfg, err := parse(t, "--config", "../../docs/worker.yaml")
	if err != nil || cfg.ID != "w1" || cfg.Slots != 8 || len(cfg.Controllers) != 3 {
		t.Errorf("docs/worker.yaml: %+v, %v", cfg, err)
	}
}
