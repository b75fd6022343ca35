package savepoint

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/cairnstream/cairn/state"
)

// rows are the entries of a state in some key groups, without a pointer for each.
type rows struct {
	bytes  []byte
	places []rowPlace
}

// rowPlace says where an entry's key, sub-key and value lie, one behind the other.
type rowPlace struct {
	group           int32
	key, sub, value int32 // sizes
	at              int64
}

func (p rowPlace) size() int64 { return int64(p.key) + int64(p.sub) + int64(p.value) }

// groupScanner is a store that need not look at all entries for those of some key groups.
type groupScanner interface {
	// ScanGroups is ScanAll for the key groups lo to hi.
	ScanGroups(h state.Handle, lo, hi int, f func(group int, key, sub, value []byte) bool) error
}

// collect returns the entries of a state in the key groups lo to hi, in order of key
// group, key and sub-key, so that the same state gives the same files.
func collect(store scratch, h state.Handle, lo, hi int) (*rows, error) {
	r := &rows{}
	add := func(group int, key, sub, value []byte) bool {
		if group >= lo && group <= hi {
			r.places = append(r.places, rowPlace{int32(group), int32(len(key)), int32(len(sub)), int32(len(value)), int64(len(r.bytes))})
			r.bytes = append(append(append(r.bytes, key...), sub...), value...)
		}
		return true
	}
	scan := func() error { return store.ScanAll(h, add) }
	if s, ok := store.(groupScanner); ok {
		scan = func() error { return s.ScanGroups(h, lo, hi, add) }
	}
	if err := scan(); err != nil {
		return nil, err
	}
	slices.SortFunc(r.places, r.compare)
	return r, nil
}

func (r *rows) compare(a, b rowPlace) int {
	if a.group != b.group {
		return cmp.Compare(a.group, b.group)
	}
	x, y := r.entry(a), r.entry(b)
	return cmp.Or(bytes.Compare(x.Key, y.Key), bytes.Compare(x.Sub, y.Sub))
}

// at returns entry i; its slices are the rows' own.
func (r *rows) at(i int) state.Entry { return r.entry(r.places[i]) }

func (r *rows) entry(p rowPlace) state.Entry {
	b := r.bytes[p.at : p.at+p.size()]
	return state.Entry{Group: int(p.group), Key: b[:p.key], Sub: b[p.key : p.key+p.sub], Value: b[p.key+p.sub:]}
}
