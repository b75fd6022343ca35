// Package rowfile writes and reads one Parquet file of a canonical savepoint: the entries
// of one keyed state in a range of key groups, or the items of one operator state.
//
// A file says everything twice. The columns key_bytes, sub_key_bytes and value_bytes hold what
// the state backend had, in the codec's words, and a restore reads only these and
// key_group. Beside them are the same things as typed columns, by the schemas of the
// checkpoint, for every other reader. The columns are described in
// docs/formats/savepoint.md.
//
//	column.go  a type of package codec as a tree of Parquet columns, and values into them
//	layout.go  which columns a state has
//	writer.go  a file in memory, row by row
//	items.go   files of operator state
//	reader.go  entries out of a file
//
// Files are small, some mebibytes: they are written and read in memory.
package rowfile
