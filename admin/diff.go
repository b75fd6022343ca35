package admin

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/state/inspect"
)

func (t *tree) checkpointDiffCommand() *cobra.Command {
	var keys bool
	cmd := t.storedCommand(&cobra.Command{
		Use:   "diff JOB A B",
		Short: "Show what changed in each state from checkpoint A to B, and which objects they share",
		Args:  Args(cobra.ExactArgs(3)),
		ValidArgsFunction: func(cmd *cobra.Command, given []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return t.completeCheckpoint(cmd, given[:min(len(given), 1)], prefix) // for A and B
		},
	}, func(ctx context.Context, s *stored, given []string) error {
		d, err := openDiff(ctx, t, s, given[1], given[2])
		if err != nil {
			return err
		}
		defer d.progress.end()
		return d.run(ctx, t, keys)
	})
	cmd.Flags().BoolVar(&keys, "keys", false, "show each entry that was added, removed or changed")
	return cmd
}

// diff compares two checkpoints.
type diff struct {
	*stored
	a, b     *checkpointstore.Metadata
	reader   inspect.Reader
	progress *progress
	sums     []*diffSum
}

// diffSum is what changed in one state.
type diffSum struct {
	Operator     string `json:"operator"`
	State        string `json:"state"`
	Kind         string `json:"kind"`
	Evolved      bool   `json:"evolved"` // another schema or kind in B
	Added        int64  `json:"added"`
	AddedBytes   int64  `json:"added_bytes"`
	Removed      int64  `json:"removed"`
	RemovedBytes int64  `json:"removed_bytes"`
	Changed      int64  `json:"changed"`
	ChangedBytes int64  `json:"changed_bytes"` // of the entries in B
}

// changeView is an entry that differs, as JSON.
type changeView struct {
	Change   string `json:"change"`
	Operator string `json:"operator"`
	Key      any    `json:"key"`
	State    string `json:"state"`
	Sub      any    `json:"sub"`
	Old      any    `json:"old"` // null if added
	New      any    `json:"new"` // null if removed
}

func openDiff(ctx context.Context, t *tree, s *stored, a, b string) (*diff, error) {
	d := &diff{stored: s, progress: newProgress(t.stderr)}
	d.reader = inspect.Reader{Bucket: s.bucket, Progress: d.progress.bytes("reading")}
	for _, side := range []struct {
		given string
		into  **checkpointstore.Metadata
	}{{a, &d.a}, {b, &d.b}} {
		id, err := checkpointID(side.given)
		if err != nil {
			return nil, err
		}
		if *side.into, err = s.open(ctx, id); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *diff) run(ctx context.Context, t *tree, keys bool) error {
	out, err := d.writer(t, keys)
	if err != nil {
		return err
	}
	old, new := inspect.Operators(d.a.Processes), inspect.Operators(d.b.Processes)
	for _, o := range union(old, new) {
		if err := d.operator(ctx, out, inspect.Find(old, o.UID), inspect.Find(new, o.UID)); err != nil {
			return err
		}
	}
	d.progress.end()
	objects, err := compareObjects(d.a.Processes, d.b.Processes)
	if err != nil {
		return err
	}
	return out.end(d, objects)
}

// union is the operators of both, those of the second in their order behind.
func union(old, new []*inspect.Operator) []*inspect.Operator {
	all := slices.Clone(old)
	for _, o := range new {
		if inspect.Find(old, o.UID) == nil {
			all = append(all, o)
		}
	}
	return all
}

// operator compares one operator, of which a side may be missing.
func (d *diff) operator(ctx context.Context, out diffWriter, a, b *inspect.Operator) error {
	uid := present(a, b).UID
	sums := d.sumsOf(a, b)
	sumOf := func(e inspect.Entry) *diffSum {
		if sums[e.State.Name] == nil { // noted in neither checkpoint
			sums[e.State.Name] = &diffSum{Operator: string(uid), State: e.State.Name, Kind: e.State.Kind}
			d.sums = append(d.sums, sums[e.State.Name])
		}
		return sums[e.State.Name]
	}
	old, new, err := printers(a, b)
	if err != nil {
		return err
	}
	return d.reader.Diff(ctx, a, b, func(c inspect.Change) error {
		sumOf(c.Entry()).add(c)
		if !out.wantsChanges() {
			return nil
		}
		v, err := viewChange(string(uid), c, old, new)
		if err != nil {
			return err
		}
		d.progress.end()
		return out.change(v)
	})
}

// present is a, or b if there is no a.
func present(a, b *inspect.Operator) *inspect.Operator {
	if a != nil {
		return a
	}
	return b
}

// printers are those of the keys and values of both sides.
func printers(a, b *inspect.Operator) (old, new *inspect.Printer, err error) {
	for _, side := range []struct {
		o    *inspect.Operator
		into **inspect.Printer
	}{{a, &old}, {b, &new}} {
		if side.o == nil {
			continue
		}
		if *side.into, err = inspect.NewPrinter(side.o); err != nil {
			return nil, nil, err
		}
	}
	return old, new, nil
}

func viewChange(uid string, c inspect.Change, old, new *inspect.Printer) (changeView, error) {
	v := changeView{Change: c.Kind.String(), Operator: uid}
	if c.Kind != inspect.Added {
		p, err := old.Print(c.Old)
		if err != nil {
			return v, fmt.Errorf("operator %s: %w", uid, err)
		}
		v.Key, v.State, v.Sub, v.Old = p.Key, p.State, p.Sub, p.Value
	}
	if c.Kind != inspect.Removed {
		p, err := new.Print(c.New)
		if err != nil {
			return v, fmt.Errorf("operator %s: %w", uid, err)
		}
		v.Key, v.State, v.Sub, v.New = p.Key, p.State, p.Sub, p.Value
	}
	return v, nil
}

func (s *diffSum) add(c inspect.Change) {
	e := c.Entry()
	size := int64(len(e.Key) + len(e.Sub) + len(e.Value))
	switch c.Kind {
	case inspect.Added:
		s.Added++
		s.AddedBytes += size
	case inspect.Removed:
		s.Removed++
		s.RemovedBytes += size
	case inspect.Changed:
		s.Changed++
		s.ChangedBytes += size
	}
}

// sumsOf makes the sums of an operator's states, those of operator state complete.
func (d *diff) sumsOf(a, b *inspect.Operator) map[string]*diffSum {
	sums := map[string]*diffSum{}
	for _, o := range []*inspect.Operator{b, a} {
		if o == nil {
			continue
		}
		for _, s := range o.States {
			if sums[s.Name] == nil {
				sums[s.Name] = &diffSum{Operator: string(o.UID), State: s.Name, Kind: s.Kind}
				d.sums = append(d.sums, sums[s.Name])
			}
		}
	}
	if a != nil && b != nil {
		for _, pair := range inspect.Evolved(a, b) {
			sums[pair[1].Name].Evolved = true
		}
	}
	for _, i := range inspect.DiffItems(a, b) {
		d.sums = append(d.sums, &diffSum{
			Operator: string(present(a, b).UID), State: i.Name, Kind: i.Kind,
			Added: i.Added, AddedBytes: i.AddedBytes, Removed: i.Removed, RemovedBytes: i.RemovedBytes,
		})
	}
	return sums
}
