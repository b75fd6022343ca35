package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/state/inspect"
)

func (t *tree) stateListCommand() *cobra.Command {
	var f lookFlags
	var count bool
	cmd := t.storedCommand(&cobra.Command{
		Use:   "list JOB",
		Short: "List each operator's states: kind, schema, size and where they are stored",
		Args:  Args(cobra.ExactArgs(1)),
	}, func(ctx context.Context, s *stored, _ []string) error {
		return t.stateList(ctx, s, f, count)
	})
	cmd.Flags().BoolVar(&count, "count", false, "count each state's entries and bytes, which reads all state (default: each operator's, which are noted)")
	return f.add(t, cmd)
}

// operatorView is an operator's state as JSON.
type operatorView struct {
	UID       string      `json:"uid"`
	Backend   string      `json:"backend"`
	KeySchema string      `json:"key_schema"`
	Subtasks  int         `json:"subtasks"`
	GroupLo   int         `json:"group_lo"` // key groups, if there is keyed state
	GroupHi   int         `json:"group_hi"`
	Entries   int64       `json:"entries"` // live, keyed
	Bytes     int64       `json:"bytes"`   // of them
	Stored    int64       `json:"stored_bytes"`
	Objects   int         `json:"objects"` // that these bytes are in
	States    []stateView `json:"states"`

	keyed bool
}

// stateView is a state as JSON. Entries and bytes are null if nobody counted.
type stateView struct {
	Name    string        `json:"name"`
	Kind    string        `json:"kind"`
	Schema  string        `json:"schema"`
	TTL     time.Duration `json:"ttl_ns"`
	Entries *int64        `json:"entries"`
	Bytes   *int64        `json:"bytes"`
}

func (t *tree) stateList(ctx context.Context, s *stored, f lookFlags, count bool) error {
	meta, err := s.open(ctx, f.checkpoint)
	if err != nil {
		return err
	}
	views := []*operatorView{}
	for _, o := range inspect.Operators(meta.Processes) {
		v := viewOperator(o)
		if count {
			if err := t.countStates(ctx, s, o, v); err != nil {
				return err
			}
		}
		if v.keyed || len(v.States) > 0 {
			views = append(views, v)
		}
	}
	if t.output == "json" {
		return t.printJSON(object{{"job", s.job}, {"checkpoint", meta.Checkpoint}, {"key_groups", meta.KeyGroups}, {"operators", views}})
	}
	return t.stateTables(meta, views)
}

func viewOperator(o *inspect.Operator) *operatorView {
	v := &operatorView{UID: string(o.UID), Backend: o.Backend, KeySchema: o.KeySchema, Subtasks: o.Subtasks, States: []stateView{}}
	v.Entries, v.Bytes = o.Entries()
	v.GroupLo, v.GroupHi, v.keyed = o.Groups()
	objects := map[string]bool{}
	for _, k := range o.Handles {
		for _, g := range k.Segments {
			v.Stored += g.Ref.Length
			objects[g.Ref.Key] = true
		}
	}
	v.Objects = len(objects)
	for _, s := range o.States {
		v.States = append(v.States, stateView{Name: s.Name, Kind: s.Kind, Schema: s.Schema, TTL: s.TTL})
	}
	for _, i := range o.Items {
		v.States = append(v.States, viewItems(i))
	}
	return v
}

func viewItems(i inspect.Items) stateView {
	entries, size := int64(len(i.Items)), int64(0)
	for _, item := range i.Items {
		size += int64(len(item))
	}
	return stateView{Name: i.Name, Kind: i.Kind, Schema: i.Schema, Entries: &entries, Bytes: &size}
}

// countStates fills in the figures of keyed states, which nobody has noted.
func (t *tree) countStates(ctx context.Context, s *stored, o *inspect.Operator, v *operatorView) error {
	progress := newProgress(t.stderr)
	defer progress.end()
	byName := map[string]*stateView{}
	for i := range v.States[:len(o.States)] {
		v.States[i].Entries, v.States[i].Bytes = new(int64), new(int64)
		byName[v.States[i].Name] = &v.States[i]
	}
	r := inspect.Reader{Bucket: s.bucket, Progress: progress.bytes("counting operator " + v.UID + ",")}
	err := r.Scan(ctx, o, func(e inspect.Entry) error {
		if c := byName[e.State.Name]; c != nil {
			*c.Entries++
			*c.Bytes += int64(len(e.Key) + len(e.Sub) + len(e.Value))
		}
		return nil
	})
	if errors.Is(err, inspect.ErrNoKeyed) {
		return nil
	}
	return err
}

func (t *tree) stateTables(meta *checkpointstore.Metadata, views []*operatorView) error {
	fmt.Fprintf(t.stdout, "checkpoint %d of job %s, begun %s, %d key groups\n", meta.Checkpoint, meta.Job, timeText(meta.BegunAt.UnixMilli()), meta.KeyGroups)
	if len(views) == 0 {
		_, err := fmt.Fprintln(t.stdout, "no operator has state")
		return err
	}
	fmt.Fprintln(t.stdout)
	var operators, states [][]string
	for _, v := range views {
		operators = append(operators, v.cells())
		for _, s := range v.States {
			states = append(states, append([]string{v.UID}, s.cells()...))
		}
	}
	if err := table(t.stdout, "OPERATOR BACKEND KEY KEY-GROUPS >SUBTASKS >ENTRIES >BYTES >STORED >OBJECTS", operators); err != nil {
		return err
	}
	fmt.Fprintln(t.stdout)
	return table(t.stdout, "OPERATOR STATE KIND SCHEMA TTL >ENTRIES >BYTES", states)
}

func (v *operatorView) cells() []string {
	groups, entries, size, kept := "-", "-", "-", "-"
	if v.keyed {
		groups, entries, size, kept = fmt.Sprintf("%d-%d", v.GroupLo, v.GroupHi), countText(v.Entries), bytesText(v.Bytes), bytesText(v.Stored)
	}
	return []string{v.UID, dash(v.Backend), dash(v.KeySchema), groups, fmt.Sprint(v.Subtasks), entries, size, kept, fmt.Sprint(v.Objects)}
}

func (s stateView) cells() []string {
	entries, size := "-", "-"
	if s.Entries != nil {
		entries, size = countText(*s.Entries), bytesText(*s.Bytes)
	}
	return []string{s.Name, s.Kind, dash(s.Schema), ttlText(s.TTL), entries, size}
}
