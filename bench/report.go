package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run has measured.
type Report struct {
	Version     string    `json:"version"`
	Go          string    `json:"go"`
	Platform    string    `json:"platform"`
	CPUs        int       `json:"cpus"` // that the process may use at once
	ObjectStore string    `json:"object_store"`
	Command     string    `json:"command"`
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"` // that the run took
	Results     []*Result `json:"results"`
	Aims        []Aim     `json:"aims"`
}

// Result is one measurement.
type Result struct {
	Name    string `json:"name"` // the measurement, as --only has it
	Backend string `json:"backend,omitempty"`
	// Case tells apart results of the same name: how many keys, which size.
	Case string `json:"case,omitempty"`
	// About says what was measured, for those who read the figures.
	About string `json:"about"`
	// Command makes the result again.
	Command string   `json:"command"`
	Figures []Figure `json:"figures"`
}

// Figure is one number. Its unit is ns, ms, bytes, bytes/s, 1/s, % or, for counts
// and ratios, empty.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// Aim is a figure that has a limit.
type Aim struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Limit is the greatest value that meets the aim, or the least if AtLeast.
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"at_least"`
	Met     bool    `json:"met"`
}

// add appends a figure, in four significant digits: the rest is noise.
func (r *Result) add(name string, value float64, unit string) {
	r.Figures = append(r.Figures, Figure{name, round(value), unit})
}

// ms appends a duration in milliseconds.
func (r *Result) ms(name string, d time.Duration) { r.add(name, d.Seconds()*1e3, "ms") }

func (r *Report) atMost(name string, value, limit float64, unit string) {
	r.Aims = append(r.Aims, Aim{name, round(value), unit, limit, false, value <= limit})
}

func (r *Report) atLeast(name string, value, limit float64, unit string) {
	r.Aims = append(r.Aims, Aim{name, round(value), unit, limit, true, value >= limit})
}

// round keeps four significant digits. What is no number, for want of samples,
// becomes 0: JSON has no other.
func round(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if scale < 1 {
		return math.Round(v)
	}
	return math.Round(v*scale) / scale
}

// writeJSON prints the report as one JSON object on one line.
func (r *Report) writeJSON(w io.Writer) error {
	data, err := json.Marshal(r)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", data)
	}
	return err
}

// writeText prints the report for people.
func (r *Report) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "cairn %s, %s, %s, %d CPUs, objects in %s\n", r.Version, r.Go, r.Platform, r.CPUs, r.ObjectStore)
	for _, res := range r.Results {
		fmt.Fprintf(t, "\n%s\n", strings.Join(strings.Fields(res.Name+" "+res.Backend+" "+res.Case), " "))
		fmt.Fprintf(t, "  %s\n  %s\n", res.About, res.Command)
		for _, f := range res.Figures {
			fmt.Fprintf(t, "    %s\t%s\n", f.Name, quantity(f.Value, f.Unit))
		}
	}
	writeAims(t, r.Aims)
	fmt.Fprintf(t, "\n%.0f s: %s\n", r.Seconds, r.Command)
	return t.Flush()
}

// writeAims prints aims for people, if there are any.
func writeAims(t io.Writer, aims []Aim) {
	if len(aims) > 0 {
		fmt.Fprint(t, "\naims\n")
	}
	for _, a := range aims {
		bound, verdict := "at most", "met"
		if a.AtLeast {
			bound = "at least"
		}
		if !a.Met {
			verdict = "MISSED"
		}
		fmt.Fprintf(t, "    %s\t%s\t%s %s\t%s\n", a.Name, quantity(a.Value, a.Unit), bound, quantity(a.Limit, a.Unit), verdict)
	}
}

// quantity writes a number with its unit as a person would.
func quantity(v float64, unit string) string {
	if unit == "bytes" || unit == "bytes/s" {
		suffix := strings.TrimPrefix(unit, "bytes")
		for _, u := range []struct {
			name  string
			scale float64
		}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
			if math.Abs(v) >= u.scale {
				return fmt.Sprintf("%.4g %s%s", v/u.scale, u.name, suffix)
			}
		}
		return fmt.Sprintf("%.4g B%s", v, suffix)
	}
	if unit == "1/s" {
		return fmt.Sprintf("%.4g M/s", v/1e6)
	}
	return strings.TrimSpace(fmt.Sprintf("%.4g %s", v, unit))
}
