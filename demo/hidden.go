package demo

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/controller"
	"github.com/cairnstream/cairn/examples/flights/flights"
	"github.com/cairnstream/cairn/internal/lifeline"
	"github.com/cairnstream/cairn/stream"
	"github.com/cairnstream/cairn/worker"
)

// specEnv carries a hidden command's configuration as JSON.
const specEnv = "CAIRN_HIDDEN_SPEC"

// The names under which the executable starts itself again.
const (
	controllerVerb = "__controller"
	workerVerb     = "__worker"
	flightsVerb    = "__flights"
)

type controllerSpec struct {
	ID, DataDir, Peers, ObjectStore, Build string
}

type workerSpec struct {
	ID, DataDir, Build string
	Controllers        []string
	Slots              int
}

// Hidden are the commands that the demo's cluster is made of. They call the
// same Run as the daemons.
func Hidden() []*cobra.Command {
	return []*cobra.Command{
		{Use: controllerVerb, Hidden: true, Args: cobra.NoArgs, RunE: runController},
		{Use: workerVerb, Hidden: true, Args: cobra.NoArgs, RunE: runWorker},
		{Use: flightsVerb, Hidden: true, DisableFlagParsing: true, RunE: func(cmd *cobra.Command, args []string) error {
			return stream.Run(cmd.Context(), "flights", args, stream.With(flights.Defaults(), flights.Build))
		}},
	}
}

func runController(cmd *cobra.Command, _ []string) error {
	var s controllerSpec
	if err := readSpec(&s); err != nil {
		return err
	}
	peers, err := controller.ParsePeers(s.Peers)
	if err != nil {
		return err
	}
	return controller.Run(cmd.Context(), controller.Config{
		ID: s.ID, DataDir: s.DataDir, Peers: peers, ObjectStore: s.ObjectStore, Build: s.Build, Log: daemonLog(),
	})
}

func runWorker(cmd *cobra.Command, _ []string) error {
	var s workerSpec
	if err := readSpec(&s); err != nil {
		return err
	}
	return worker.Run(cmd.Context(), worker.Config{
		ID: s.ID, DataDir: s.DataDir, Controllers: s.Controllers, Slots: s.Slots, Trace: true, Build: s.Build, Log: daemonLog(),
	})
}

func daemonLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// readSpec reads the configuration that the parent gave, and ties this process
// to the parent's life.
func readSpec(v any) error {
	if err := lifeline.Watch(func() { os.Exit(1) }); err != nil {
		return err
	}
	text := os.Getenv(specEnv)
	if text == "" {
		return fmt.Errorf("this command is started by cairn demo and cairn dev only ($%s is not set)", specEnv)
	}
	os.Unsetenv(specEnv) // not for the children
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("$%s: %w", specEnv, err)
	}
	return nil
}
