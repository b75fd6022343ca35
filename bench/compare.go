package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// Verdicts of a comparison.
const (
	// Noise: the runs of A and B overlap, so the difference may be chance.
	Noise = "within the noise"
	// Unknown: there is one run on a side, so nobody knows how far runs lie apart.
	Unknown = "noise unknown: one run"
	// Better and Worse: every run of B is better, or worse, than every run of A.
	Better = "better"
	Worse  = "worse"
)

// Change is one figure in two measurements.
type Change struct {
	Report string `json:"report"` // file's name
	Figure string `json:"figure"`
	Unit   string `json:"unit"`
	A      Range  `json:"a"`
	B      Range  `json:"b"`
	// Ratio is B's median over A's, less 1.
	Ratio   float64 `json:"ratio"`
	Verdict string  `json:"verdict"`
}

// Range is a figure's runs: their median, least and greatest.
type Range struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Runs   int     `json:"runs"`
}

// CompareConfig says what RunCompare compares.
type CompareConfig struct {
	// A and B are reports of `cairn bench nexmark --json`, or folders of them: of these
	// the files with the same names are compared.
	A, B string
	// All prints figures too whose change is within the noise.
	All    bool
	JSON   bool
	Stdout io.Writer
}

// RunCompare prints how figures differ between two measurements, and whether the difference
// is more than the runs of either differ among themselves.
func RunCompare(cfg CompareConfig) error {
	changes, err := compare(cfg.A, cfg.B)
	if err != nil {
		return fmt.Errorf("bench compare: %w", err)
	}
	if cfg.JSON {
		return json.NewEncoder(cfg.Stdout).Encode(changes)
	}
	missing, err := alone(cfg.A, cfg.B)
	if err != nil {
		return fmt.Errorf("bench compare: %w", err)
	}
	if err := writeChanges(cfg.Stdout, changes, cfg.All); err != nil {
		return err
	}
	_, err = fmt.Fprint(cfg.Stdout, missing)
	return err
}

func compare(a, b string) ([]Change, error) {
	as, errA := readReports(a)
	bs, errB := readReports(b)
	if err := errors.Join(errA, errB); err != nil {
		return nil, err
	}
	changes := []Change{}
	for _, name := range sortedNames(as) {
		one := bs[name]
		if one == nil {
			continue
		}
		if err := sameWork(as[name], one); err != nil {
			return nil, fmt.Errorf("%s and %s: %w", filepath.Join(a, name), filepath.Join(b, name), err)
		}
		changes = append(changes, changesOf(name, as[name], one)...)
	}
	if len(changes) == 0 {
		return nil, fmt.Errorf("%s and %s have no report in common", a, b)
	}
	return changes, nil
}

// sameWork refuses two reports of different work. Another program, machine, parallelism or backend is what
// a comparison may be about.
func sameWork(a, b *NexmarkReport) error {
	type work struct {
		query        string
		events, seed int64
		rate         float64
		faults       string
	}
	of := func(r *NexmarkReport) work { return work{r.Query, r.Events, r.Seed, r.Rate, r.Faults} }
	if of(a) != of(b) {
		return fmt.Errorf("they are of different work, so their figures say nothing about each other: %q and %q", a.Command, b.Command)
	}
	return nil
}

// alone says which reports only one of two folders has: a measurement that failed leaves none.
func alone(a, b string) (string, error) {
	as, errA := readReports(a)
	bs, errB := readReports(b)
	if err := errors.Join(errA, errB); err != nil {
		return "", err
	}
	var text strings.Builder
	for _, side := range []struct {
		dir        string
		has, other map[string]*NexmarkReport
	}{{a, as, bs}, {b, bs, as}} {
		for _, name := range sortedNames(side.has) {
			if side.other[name] == nil {
				fmt.Fprintf(&text, "%s is in %s only\n", name, side.dir)
			}
		}
	}
	return text.String(), nil
}

func sortedNames(m map[string]*NexmarkReport) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// readReports reads a report, under the name "", or all of a folder.
func readReports(path string) (map[string]*NexmarkReport, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		r, err := readReport(path)
		return map[string]*NexmarkReport{"": r}, err
	}
	files, err := fs.Glob(os.DirFS(path), "*.json")
	if err != nil {
		return nil, err
	}
	all := map[string]*NexmarkReport{}
	for _, name := range files {
		if all[strings.TrimSuffix(name, ".json")], err = readReport(filepath.Join(path, name)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func readReport(path string) (*NexmarkReport, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &NexmarkReport{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Query == "" || len(r.Runs) == 0 {
		return nil, fmt.Errorf("%s is no report of cairn bench nexmark --json", path)
	}
	return r, nil
}

// changesOf are the figures that both have.
func changesOf(name string, a, b *NexmarkReport) (out []Change) {
	for _, f := range nexmarkFigures {
		as, bs := f.values(a.counted()), f.values(b.counted())
		if slices.Max(as) == 0 || slices.Max(bs) == 0 {
			continue
		}
		c := Change{Report: name, Figure: f.name, Unit: f.unit, A: rangeOf(as), B: rangeOf(bs)}
		if c.A.Median != 0 {
			c.Ratio = round(c.B.Median/c.A.Median - 1)
		}
		c.Verdict = verdict(c.A, c.B, f.more)
		out = append(out, c)
	}
	return out
}

func rangeOf(v []float64) Range {
	return Range{Median: median(v), Min: slices.Min(v), Max: slices.Max(v), Runs: len(v)}
}

// verdict says what a difference means. more: a greater value is better.
func verdict(a, b Range, more bool) string {
	switch {
	case a.Runs < 2 || b.Runs < 2:
		return Unknown
	case b.Min > a.Max && more, b.Max < a.Min && !more:
		return Better
	case b.Min > a.Max, b.Max < a.Min:
		return Worse
	}
	return Noise
}

// writeChanges prints a table for people.
func writeChanges(w io.Writer, changes []Change, all bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "report\tfigure\tA\tB\tchange\t")
	hidden := 0
	for _, c := range changes {
		if c.Verdict == Noise && !all {
			hidden++
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%+.1f %%\t%s\n", c.Report, c.Figure, c.A.text(c.Unit), c.B.text(c.Unit), 100*c.Ratio, c.Verdict)
	}
	if hidden > 0 {
		fmt.Fprintf(t, "\n%d figures differ by no more than their runs do; --all shows them\n", hidden)
	}
	return t.Flush()
}

// text is a range for people.
func (r Range) text(unit string) string {
	if r.Runs < 2 {
		return quantity(r.Median, unit)
	}
	return fmt.Sprintf("%s (%s to %s)", quantity(r.Median, unit), quantity(r.Min, unit), quantity(r.Max, unit))
}
