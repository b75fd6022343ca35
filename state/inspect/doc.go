// Package inspect reads the state in a checkpoint straight from the object
// store, without the job that wrote it: neither its program nor a controller is
// needed, and nothing is written but scratch files.
//
// A checkpoint's metadata says where each operator's state lies and by which
// schemas it is encoded. A Reader restores a part of it, some key groups, into a
// store of the kind that wrote it, as a restart would, and gives its entries in
// order: by key group, key, state and sub-key. A Printer turns their bytes into
// values for people.
//
//	operator.go  what a checkpoint holds of each operator
//	reader.go    key groups restored into a scratch store
//	scan.go      all entries, in order, in bounded memory; those of one key
//	diff.go      what differs between two checkpoints
//	print.go     bytes into values, and text into a key
//	items.go     operator state, which belongs to no key
//	text.go      values as text on a line
//
// Memory is bounded by reading an operator in slices of key groups: see
// Reader.SliceBytes.
package inspect
