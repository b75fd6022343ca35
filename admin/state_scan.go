package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/state/inspect"
)

// scanFlags choose the entries that a scan shows.
type scanFlags struct {
	lookFlags
	limit  int64
	prefix string
}

func (t *tree) stateScanCommand() *cobra.Command {
	var f scanFlags
	cmd := t.storedCommand(&cobra.Command{
		Use:   "scan JOB UID",
		Short: "Show all entries of an operator's state, ordered by key group, key, state and sub-key",
		Args:  Args(cobra.ExactArgs(2)),
	}, func(ctx context.Context, s *stored, given []string) error {
		if f.limit < 0 {
			return usagef("--limit %d: use 0 for all, or how many entries to show", f.limit)
		}
		l, err := t.look(ctx, s, given[1], f.lookFlags)
		if err != nil {
			return err
		}
		defer l.progress.end()
		return t.stateScan(ctx, l, f)
	})
	cmd.Flags().Int64Var(&f.limit, "limit", 0, "stop after so many entries (default: all)")
	cmd.Flags().StringVar(&f.prefix, "prefix", "", "only keys that begin so, as they are shown")
	return f.addState(t, cmd)
}

// errEnough ends a scan that has reached its limit.
var errEnough = errors.New("enough")

func (t *tree) stateScan(ctx context.Context, l *look, f scanFlags) error {
	out, err := t.entryWriter(l)
	if err != nil {
		return err
	}
	shown := int64(0)
	show := func(v entryView) error {
		if !strings.HasPrefix(inspect.Text(v.Key), f.prefix) {
			return nil
		}
		l.progress.end()
		if err := out.entry(v); err != nil {
			return err
		}
		if shown++; shown == f.limit {
			return errEnough
		}
		return nil
	}
	if err = l.entries(ctx, show); err == nil {
		err = l.items(f, show)
	}
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	l.progress.end()
	return out.end(shown)
}

func (t *tree) entryWriter(l *look) (entryWriter, error) {
	if t.output != "json" {
		return newEntryTable(t.stdout, l.lastUse()), nil
	}
	stream, err := newJSONStream(t.stdout, l.head(), "entries")
	return entryJSON{stream}, err
}

// items shows operator state, whose items have no key but numbers.
func (l *look) items(f scanFlags, show func(entryView) error) error {
	if f.prefix != "" {
		return nil // it is for keys
	}
	for i := range l.operator.Items {
		items := &l.operator.Items[i]
		if f.state != "" && f.state != items.Name {
			continue
		}
		printed, err := inspect.PrintItems(items, f.raw)
		if err != nil {
			return err
		}
		for _, p := range printed {
			if err := show(viewEntry(p)); err != nil {
				return err
			}
		}
	}
	return nil
}

// entries shows keyed state, if there is any.
func (l *look) entries(ctx context.Context, show func(entryView) error) error {
	err := l.reader.Scan(ctx, l.operator, func(e inspect.Entry) error {
		p, err := l.printer.Print(e)
		if err != nil {
			return fmt.Errorf("operator %s: %w; --raw shows the bytes", l.operator.UID, err)
		}
		return show(viewEntry(p))
	})
	if errors.Is(err, inspect.ErrNoKeyed) && len(l.operator.Items) > 0 {
		return nil
	}
	return err
}
