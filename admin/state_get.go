package admin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/state/inspect"
)

func (t *tree) stateGetCommand() *cobra.Command {
	var f lookFlags
	var subs []string
	cmd := t.storedCommand(&cobra.Command{
		Use:   "get JOB UID KEY",
		Short: "Show what an operator keeps for one key, reading only what is needed for it",
		Args:  Args(cobra.ExactArgs(3)),
	}, func(ctx context.Context, s *stored, given []string) error {
		l, err := t.look(ctx, s, given[1], f)
		if err != nil {
			return err
		}
		defer l.progress.end()
		return t.stateGet(ctx, l, given[2], subs)
	})
	cmd.Flags().StringArrayVar(&subs, "sub", nil, "only the entries with this window, key of a map or number of a list; twice if there is a window in front of it")
	return f.addState(t, cmd)
}

// entryView is an entry as JSON.
type entryView struct {
	Key     any        `json:"key"`
	State   string     `json:"state"`
	Sub     any        `json:"sub"` // null if the state has one entry for a key
	Value   any        `json:"value"`
	LastUse *time.Time `json:"last_use,omitempty"` // if the state has a TTL
}

func viewEntry(p inspect.Printed) entryView {
	v := entryView{Key: p.Key, State: p.State, Sub: p.Sub, Value: p.Value}
	if !p.LastUse.IsZero() {
		v.LastUse = &p.LastUse
	}
	return v
}

// cells are the entry's columns; the last one for operators of which a state has a TTL.
func (v entryView) cells(lastUse bool) []string {
	cells := []string{inspect.Text(v.Key), v.State, inspect.Text(v.Sub), inspect.Text(v.Value)}
	switch {
	case lastUse && v.LastUse != nil:
		cells = append(cells, inspect.Text(*v.LastUse))
	case lastUse:
		cells = append(cells, "-")
	}
	return cells
}

func (t *tree) stateGet(ctx context.Context, l *look, text string, subs []string) error {
	uid := l.operator.UID
	key, err := l.printer.EncodeKey(text)
	if errors.Is(err, codec.ErrText) {
		return usagef("key of operator %s: %w", uid, err)
	}
	if err != nil {
		return fmt.Errorf("key of operator %s: %w", uid, err)
	}
	views := []entryView{}
	match := subMatcher{printer: l.printer, texts: subs}
	err = l.reader.Get(ctx, l.operator, key, l.meta.KeyGroups, func(e inspect.Entry) error {
		if ok, err := match.matches(e); !ok {
			return err
		}
		p, err := l.printer.Print(e)
		views = append(views, viewEntry(p))
		return err
	})
	l.progress.end()
	if errors.Is(err, inspect.ErrNoKeyed) {
		return fmt.Errorf("%w: `cairn state scan %s %s` shows what it keeps", err, l.job, uid)
	}
	if err != nil {
		return err
	}
	if len(views) == 0 {
		return cmp.Or(match.wrong(), l.noEntry(text, subs))
	}
	group := dataflow.KeyGroup(dataflow.KeyHash(key), l.meta.KeyGroups)
	if t.output == "json" {
		return t.printJSON(append(l.head(), object{{"key", views[0].Key}, {"key_group", group}, {"entries", views}}...))
	}
	fmt.Fprintf(t.stdout, "key %s of operator %s, key group %d, in checkpoint %d of job %s\n\n", inspect.Text(views[0].Key), uid, group, l.meta.Checkpoint, l.job)
	out := newEntryTable(t.stdout, l.lastUse())
	for _, v := range views {
		if err := out.entry(v); err != nil {
			return err
		}
	}
	return out.end(int64(len(views)))
}

// noEntry says that there is nothing, and where to look.
func (l *look) noEntry(text string, subs []string) error {
	what := fmt.Sprintf("key %q", text)
	for _, s := range subs {
		what += fmt.Sprintf(", sub-key %q", s)
	}
	if l.reader.State != "" {
		what += fmt.Sprintf(", state %q", l.reader.State)
	}
	return status.Errorf(codes.NotFound, "operator %s keeps nothing for %s in checkpoint %d; `cairn state scan %s %s` shows what it keeps",
		l.operator.UID, what, l.meta.Checkpoint, l.job, l.operator.UID)
}

// subMatcher tells which entries have the sub-keys that a person asked for.
type subMatcher struct {
	printer *inspect.Printer
	texts   []string

	state   string // the state that what follows is for
	prefix  []byte
	refused error // no sub-key of the state can be so
	any     bool  // a state whose sub-keys can
}

// matches tells whether an entry is asked for. The error is not about the sub-keys.
func (m *subMatcher) matches(e inspect.Entry) (bool, error) {
	if len(m.texts) == 0 {
		return true, nil
	}
	if m.state != e.State.Name {
		m.state = e.State.Name
		var err error
		m.prefix, err = m.printer.EncodeSub(e.State, m.texts)
		m.refused = nil
		switch {
		case errors.Is(err, codec.ErrText), errors.Is(err, inspect.ErrSubKeys):
			m.refused = err
		case err != nil:
			return false, err
		default:
			m.any = true
		}
	}
	return m.refused == nil && bytes.HasPrefix(e.Sub, m.prefix), nil
}

// wrong is a usage error if no state takes sub-keys like those given.
func (m *subMatcher) wrong() error {
	if m.any || m.refused == nil {
		return nil
	}
	return usagef("--sub: %w", m.refused)
}
