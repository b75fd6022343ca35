package inspect

import (
	"cmp"
	"slices"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

// Operator is what a checkpoint holds of one operator: the parts of all of its
// subtasks. It is read only.
type Operator struct {
	UID      dataflow.UID
	Subtasks int
	// Handles are the keyed state, one for each subtask that has any.
	Handles []snapshot.Keyed
	// Backend and KeySchema are those of the handles; empty without any.
	Backend, KeySchema string
	// States are the keyed states by name, without those that another one
	// keeps for itself.
	States []snapshot.State
	// Items are the operator state that no key belongs to.
	Items []Items
}

// Items is operator state of one name: the items of all subtasks.
type Items struct {
	Name   string
	Kind   string // KindSplit, KindUnion or KindBroadcast
	Schema string // of an item; empty if nobody noted it
	Items  [][]byte
}

// The kinds of operator state.
const (
	KindSplit     = "split list"
	KindUnion     = "union list"
	KindBroadcast = "broadcast state" // keys and values by turns; all subtasks have the same
)

// kindHidden are the ends of lists: the program's own business.
const kindHidden = "list end"

// Operators returns the operators of a checkpoint in the order of the graph's
// vertices, each with the parts of all subtasks.
func Operators(processes []snapshot.Process) []*Operator {
	var subtasks []snapshot.Subtask
	for _, p := range processes {
		subtasks = append(subtasks, p.Subtasks...)
	}
	slices.SortFunc(subtasks, func(a, b snapshot.Subtask) int { return a.Task.Compare(b.Task) })
	var all []*Operator
	byUID := map[dataflow.UID]*Operator{}
	for _, s := range subtasks {
		for _, o := range s.Operators {
			if byUID[o.UID] == nil {
				byUID[o.UID] = &Operator{UID: o.UID}
				all = append(all, byUID[o.UID])
			}
			byUID[o.UID].add(o)
		}
	}
	return all
}

// Find returns the operator with this uid, or nil.
func Find(operators []*Operator, uid dataflow.UID) *Operator {
	i := slices.IndexFunc(operators, func(o *Operator) bool { return o.UID == uid })
	if i < 0 {
		return nil
	}
	return operators[i]
}

// add adds a subtask's part.
func (o *Operator) add(part snapshot.Operator) {
	first := o.Subtasks == 0
	o.Subtasks++
	o.addItems(KindSplit, part.Lists, part.Schemas)
	o.addItems(KindUnion, part.Unions, part.Schemas)
	if first {
		o.addItems(KindBroadcast, part.Broadcast, part.Schemas)
	}
	slices.SortFunc(o.Items, func(a, b Items) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	if part.Keyed == nil {
		return
	}
	o.Handles = append(o.Handles, *part.Keyed)
	o.Backend, o.KeySchema = cmp.Or(o.Backend, part.Keyed.Backend), cmp.Or(o.KeySchema, part.Keyed.KeySchema)
	for _, s := range part.Keyed.States {
		if s.Name != "" && s.Kind != kindHidden && !slices.ContainsFunc(o.States, func(t snapshot.State) bool { return t.Name == s.Name }) {
			o.States = append(o.States, s)
		}
	}
	slices.SortFunc(o.States, func(a, b snapshot.State) int { return cmp.Compare(a.Name, b.Name) })
}

func (o *Operator) addItems(kind string, lists map[string][][]byte, schemas map[string]string) {
	for name, items := range lists {
		i := slices.IndexFunc(o.Items, func(t Items) bool { return t.Kind == kind && t.Name == name })
		if i < 0 {
			i = len(o.Items)
			o.Items = append(o.Items, Items{Name: name, Kind: kind, Schema: schemas[name]})
		}
		o.Items[i].Items = append(o.Items[i].Items, items...)
	}
}

// Entries is the number of live keyed entries, and Bytes their size.
func (o *Operator) Entries() (entries, bytes int64) {
	for _, k := range o.Handles {
		entries += k.Entries
		bytes += k.Bytes
	}
	return entries, bytes
}

// Groups is the range of key groups that the handles hold; ok is false without any.
func (o *Operator) Groups() (lo, hi int, ok bool) {
	for i, k := range o.Handles {
		if i == 0 || k.GroupLo < lo {
			lo = k.GroupLo
		}
		if i == 0 || k.GroupHi > hi {
			hi = k.GroupHi
		}
	}
	return lo, hi, len(o.Handles) > 0
}
