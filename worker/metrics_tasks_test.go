package worker

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cairnstream/cairn/wire"
)

// tasksOf gives the figures of one process.
type tasksOf struct{ stats *wire.ProcessStats }

func (tasksOf) Describe(ch chan<- *prometheus.Desc)   { jobCollector{}.Describe(ch) }
func (c tasksOf) Collect(ch chan<- prometheus.Metric) { collectTasks("j", c.stats, ch) }

func TestTasksTellTheirFigures(t *testing.T) {
	at := &wire.Subtask{Vertex: 2, Index: 1}
	registry := prometheus.NewRegistry()
	registry.MustRegister(tasksOf{&wire.ProcessStats{
		Subtasks:   []*wire.SubtaskStats{{Subtask: at, RecordsIn: 7, Busy: 0.25, Backpressured: 0.5, WatermarkMs: 1000}},
		Alignments: []*wire.AlignmentView{{Subtask: at, Waiting: 3}},
	}})
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	const labels = `{job="j",subtask="1",vertex="2"} `
	for name, want := range map[string]string{
		"cairn_task_num_records_in": "7", "cairn_task_busy_time_ms_per_second": "250", "cairn_task_back_pressured_time_ms_per_second": "500",
		"cairn_task_idle_time_ms_per_second": "250", "cairn_task_current_input_watermark": "1000", "cairn_task_checkpoint_waiting_channels": "3",
	} {
		if line := name + labels + want + "\n"; !strings.Contains(page.Body.String(), line) {
			t.Errorf("no %q in %s", line, page.Body)
		}
	}
}
