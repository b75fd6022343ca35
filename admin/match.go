package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cairnstream/cairn/wire"
)

// matchView is what is shown of an engine.Match, which the cluster passes on as JSON.
type matchView struct {
	Checkpoint uint64
	Operators  []struct {
		UID, Outcome, Why string
		Before            int `json:"parallelism"`
		Now               int `json:"parallelism_now"`
		States            []struct {
			Name, Kind, Outcome, Why string
			Was                      string `json:"schema"`
			Now                      string `json:"schema_now"`
		}
	}
}

// parseOrigin reads what --from names: the URL of a metadata object or of a savepoint's
// folder, JOB for its newest checkpoint, or JOB/CHECKPOINT.
func parseOrigin(from string) (*wire.Origin, error) {
	if strings.Contains(from, "://") {
		return &wire.Origin{Path: from}, nil
	}
	job, number, numbered := strings.Cut(from, "/")
	o := &wire.Origin{Job: job}
	if numbered {
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil || n == 0 {
			return nil, usagef("--from %s: want JOB, JOB/CHECKPOINT or a URL such as file:///savepoints/s-7", from)
		}
		o.Checkpoint = n
	}
	if job == "" {
		return nil, usagef("--from %q: want JOB, JOB/CHECKPOINT or a URL such as file:///savepoints/s-7", from)
	}
	return o, nil
}

// printMatch prints what would become of each operator and state.
func printMatch(w io.Writer, match []byte) error {
	var m matchView
	if err := json.Unmarshal(match, &m); err != nil {
		return fmt.Errorf("the program's match: %w", err)
	}
	var rows [][]string
	for _, o := range m.Operators {
		rows = append(rows, []string{o.UID, "-", parallelismText(o.Before, o.Now), o.Outcome, dash(o.Why)})
		for _, s := range o.States {
			why := s.Why
			if why == "" && s.Outcome == "restored" && s.Was != s.Now && s.Was != "" && s.Now != "" {
				why = s.Was + " becomes " + s.Now
			}
			rows = append(rows, []string{o.UID, s.Name + " (" + s.Kind + ")", "", s.Outcome, dash(why)})
		}
	}
	return table(w, "OPERATOR STATE PARALLELISM OUTCOME WHY", rows)
}

func parallelismText(before, now int) string {
	switch {
	case before == now:
		return strconv.Itoa(now)
	case before == 0:
		return "- to " + strconv.Itoa(now)
	case now == 0:
		return strconv.Itoa(before) + " to -"
	}
	return fmt.Sprintf("%d to %d", before, now)
}
