package ledger

// fifo remembers the newest max values by name. A frozen copy is not touched by
// later additions: values are only ever appended behind what a copy sees.
type fifo[T any] struct {
	max   int
	name  func(T) string
	list  []T
	index map[string]T
}

func newFIFO[T any](max int, name func(T) string) fifo[T] {
	return fifo[T]{max: max, name: name, index: map[string]T{}}
}

// add remembers a value whose name is not yet known; forgotten is the oldest,
// if there was no room.
func (f *fifo[T]) add(v T) (forgotten T, full bool) {
	f.list = append(f.list, v)
	f.index[f.name(v)] = v
	if len(f.list) <= f.max {
		return forgotten, false
	}
	forgotten = f.list[0]
	f.list = f.list[1:]
	delete(f.index, f.name(forgotten))
	return forgotten, true
}

func (f *fifo[T]) get(name string) (T, bool) {
	v, found := f.index[name]
	return v, found
}

// freeze returns a copy for writing out: its list stays, it finds nothing.
func (f *fifo[T]) freeze() fifo[T] { return fifo[T]{max: f.max, name: f.name, list: f.list} }
