// Package table is the memory of the state backends: a flat table of one state's
// entries, found by key group, key and sub-key, without a Go pointer per entry.
//
//	group ── directory ── page ── slots          page ── slab
//	(range of hashes halves when a page splits)  (what is too long for a slot)
//
// Every key group has a directory of pages, by the upper bits of an entry's hash. A
// page is an open-addressing table of a few dozen slots, at most 4 KiB. The first
// one of a group is small, so that a thousand groups with little state cost little;
// it doubles until it is full size, and from then on splits in two. No change
// ever rehashes the table: the worst is one split, some microseconds, or one
// directory that doubles.
//
// A slot is a head, the value, the key and the sub-key, of sizes that are the same
// for the whole table. States of fixed sizes fit; what does not fit lies in a slab,
// whose dead bytes are reclaimed by moving the live ones elsewhere.
//
// A Table is used by one goroutine. Freeze makes a View of it for another one: it
// copies one small header per key group, and from then on the first write to a
// page that the view may still read goes to a copy of the page. Pages that a view
// sees are never written, so that reader and writer need no locks.
//
//	table.go   Find, Upsert, Resize, Remove: an entry's life
//	entry.go   what an entry is read as, and how its value changes size
//	hash.go    keys
//	layout.go  the bytes of a slot
//	page.go    probing within a page
//	group.go   directories: how pages grow, split and shrink
//	alloc.go   memory for pages
//	slab.go    memory for what is too long for a slot
//	compact.go how its dead bytes are reclaimed
//	batch.go   the entries that changed since the last EndBatch
//	sweep.go   All and Sweep
//	touch.go   the memory that a batch will need, asked for at once
//	view.go    Freeze
//	load.go    runs of records, for a restore
//	fill.go    how they come into pages
//	relayout.go  another size of slots
package table
