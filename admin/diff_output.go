package admin

import (
	"fmt"

	"github.com/cairnstream/cairn/state/inspect"
)

// diffWriter shows a diff as it is found.
type diffWriter interface {
	wantsChanges() bool
	change(v changeView) error
	// end is called once, with all sums known.
	end(d *diff, objects objectsDiff) error
}

func (d *diff) writer(t *tree, keys bool) (diffWriter, error) {
	if t.output != "json" {
		fmt.Fprintf(t.stdout, "job %s, checkpoint %d to %d\n\n", d.job, d.a.Checkpoint, d.b.Checkpoint)
		return &diffTable{t, keys, newStreamTable(t.stdout, "CHANGE OPERATOR KEY STATE SUB-KEY OLD NEW")}, nil
	}
	head := object{{"job", d.job}, {"a", d.a.Checkpoint}, {"b", d.b.Checkpoint}}
	if !keys {
		return &diffJSON{t: t, head: head}, nil
	}
	stream, err := newJSONStream(t.stdout, head, "changes")
	return &diffJSON{t, head, stream}, err
}

// diffTable is for people.
type diffTable struct {
	t       *tree
	keys    bool
	changes *streamTable
}

func (w *diffTable) wantsChanges() bool { return w.keys }

func (w *diffTable) change(v changeView) error {
	return w.changes.row([]string{v.Change, v.Operator, inspect.Text(v.Key), v.State, inspect.Text(v.Sub), inspect.Text(v.Old), inspect.Text(v.New)})
}

func (w *diffTable) end(d *diff, o objectsDiff) error {
	if w.keys {
		if err := w.changes.flush(); err != nil {
			return err
		}
		fmt.Fprintln(w.t.stdout)
	}
	var rows [][]string
	for _, s := range d.sums {
		rows = append(rows, s.cells())
	}
	if err := table(w.t.stdout, "OPERATOR STATE KIND >ADDED >BYTES >REMOVED >BYTES >CHANGED >BYTES NOTE", rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w.t.stdout, "\nobjects: %d in both (%s), %d only in %d (%s), %d only in %d (%s)\n",
		o.Shared, bytesText(o.SharedBytes), o.OnlyA, d.a.Checkpoint, bytesText(o.OnlyABytes), o.OnlyB, d.b.Checkpoint, bytesText(o.OnlyBBytes))
	return err
}

func (s *diffSum) cells() []string {
	note := "-"
	if s.Evolved {
		note = "its schema has changed"
	}
	return []string{s.Operator, s.State, s.Kind, countText(s.Added), bytesText(s.AddedBytes), countText(s.Removed), bytesText(s.RemovedBytes),
		countText(s.Changed), bytesText(s.ChangedBytes), note}
}

// diffJSON is one document.
type diffJSON struct {
	t      *tree
	head   object
	stream *jsonStream // nil without --keys
}

func (w *diffJSON) wantsChanges() bool { return w.stream != nil }

func (w *diffJSON) change(v changeView) error { return w.stream.item(v) }

func (w *diffJSON) end(d *diff, o objectsDiff) error {
	if d.sums == nil {
		d.sums = []*diffSum{}
	}
	tail := object{{"states", d.sums}, {"objects", o}}
	if w.stream != nil {
		return w.stream.end(tail)
	}
	return w.t.printJSON(append(w.head, tail...))
}
