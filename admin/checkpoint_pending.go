package admin

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cairnstream/cairn/wire"
)

// alignmentTable shows who waits for whom: each subtask that waits for barriers, and the
// channels that it waits for with what is queued before their barriers.
func alignmentTable(w io.Writer, alignments []*wire.AlignmentView, now time.Time) error {
	if len(alignments) == 0 {
		return nil
	}
	var rows [][]string
	for _, a := range alignments {
		var channels []string
		for _, ch := range a.WaitingFor {
			channels = append(channels, fmt.Sprintf("%s (edge %d, %d batches before it)", subtaskText(ch.GetFrom()), ch.Edge, ch.QueuedBatches))
		}
		if more := int(a.Waiting) - len(a.WaitingFor); more > 0 {
			channels = append(channels, fmt.Sprintf("%d more", more))
		}
		since := "-"
		if a.SinceUnixMs > 0 {
			since = msText(float64(max(0, now.UnixMilli()-a.SinceUnixMs)))
		}
		rows = append(rows, []string{subtaskText(a.GetSubtask()), since, fmt.Sprint(a.Waiting), strings.Join(channels, ", ")})
	}
	fmt.Fprintln(w)
	return table(w, "SUBTASK >WAITS >CHANNELS FOR", rows)
}

// subtaskText is vertex/index, as job show prints subtasks.
func subtaskText(s *wire.Subtask) string { return fmt.Sprintf("%d/%d", s.GetVertex(), s.GetIndex()) }
