package controller

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// figures are what Prometheus reads of a controller, by name and labels.
func figures(t *testing.T, m *metrics) map[string]float64 {
	t.Helper()
	page := httptest.NewRecorder()
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	values := map[string]float64{}
	for line := range strings.Lines(page.Body.String()) {
		name, number, ok := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(number, 64); ok && err == nil && !strings.HasPrefix(line, "#") {
			values[name] = v
		}
	}
	if len(values) == 0 {
		t.Fatalf("no metrics: %s", page.Body)
	}
	return values
}

func TestTheLeaderTellsOfJobsUntilTheyEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster) {
		id := c.restarted()
		i, l := c.leader()
		for _, controller := range c.controllers {
			controller.metrics.observe(&controller.world)
		}
		record := c.record(id)
		values := figures(t, c.controllers[i].metrics)
		job := `{job="` + string(id) + `"}`
		for name, want := range map[string]float64{
			"cairn_job_number_of_completed_checkpoints":   float64(record.Completed),
			"cairn_job_number_of_failed_checkpoints":      float64(record.FailedCount),
			"cairn_job_number_of_in_progress_checkpoints": float64(len(record.Pending)),
			"cairn_job_total_number_of_checkpoints":       float64(record.NextCheckpoint - 1),
			"cairn_job_num_restarts":                      1,
			"cairn_job_last_completed_checkpoint_id":      float64(record.Catalog.Newest().ID),
		} {
			if got, there := values[name+job]; !there || got != want {
				t.Errorf("%s: %v (%v), want %v", name, got, there, want)
			}
		}
		for _, name := range []string{
			"cairn_job_last_checkpoint_duration", "cairn_job_last_checkpoint_restore_timestamp", "cairn_job_last_checkpoint_completed_timestamp",
			"cairn_job_last_checkpoint_size", "cairn_job_last_checkpoint_full_size",
		} {
			if _, there := values[name+job]; !there {
				t.Errorf("no %s", name)
			}
		}
		for k := range c.controllers {
			if k == i {
				continue
			}
			for name := range figures(t, c.controllers[k].metrics) {
				if strings.HasPrefix(name, "cairn_job_") {
					t.Errorf("controller %d, which does not lead, tells %s", k, name)
				}
			}
		}
		if _, err := c.api().CancelJob(t.Context(), &wire.CancelJobRequest{Job: string(id), Key: freshKey()}); err != nil {
			t.Fatal(err)
		}
		c.awaitStatus(id, ledger.Cancelled)
		for name := range figures(t, l.metrics) {
			if strings.Contains(name, string(id)) {
				t.Errorf("%s: the job has ended", name)
			}
		}
	})
}

func TestFailedCheckpointsAreCountedByClass(t *testing.T) {
	j := &ledger.Job{ID: "j", History: []ledger.CheckpointHistory{
		{ID: 1, Status: ledger.CheckpointFailed, Reason: "expired after 1s, not acknowledged by p"},
		{ID: 3, Status: ledger.CheckpointCompleted}, {ID: 2, Status: ledger.CheckpointFailed, Reason: "attempt 1 failed"},
	}}
	counts := failuresOf(j)
	if counts[ledger.FailedExpired] != 1 || counts[ledger.FailedAttemptEnded] != 1 || counts[ledger.FailedStore] != 0 || len(counts) != len(failureClasses) {
		t.Fatalf("got %v", counts)
	}
	if last := lastCompleted(j); last == nil || last.ID != dataflow.CheckpointID(3) {
		t.Fatalf("the last is %v", last)
	}
}
