// Package lsm is the state backend for state larger than memory: Pebble, a
// log-structured merge tree on local disk, below a write-back cache in memory.
//
// The cache is a state/table for each state, and every read and change is done in
// it. Pebble is 150 times slower than the table, so it is only used in bulk:
// Prefetch reads what a batch will miss in one sorted pass, and what has
// changed is written back in sorted batches, by another goroutine, once the cache
// has outgrown its share of memory. State that fits in the cache never
// touches the disk.
//
//	Store ── table per state      entries; flags: unwritten, absent, stored, used
//	  |  \── order                unwritten sub-keys of states that are scanned
//	  |
//	  |  Prefetch, Scan: sorted reads         writer: sorted batches
//	  v
//	Pebble: group, state, key, sub-key -> value      no WAL, no fsync
//
// Nothing here is durable by itself: the changelog is. After a crash the store's
// folder is garbage, and the next attempt begins with an empty one.
//
// An image is fuzzy. It consists of the files of a Pebble checkpoint (hard links),
// taken some time after the image's position, and of the entries that were
// unwritten at the position, from a frozen view of the tables. Files have names
// that stay theirs, so that the changelog uploads only new ones. A restore of the
// same key groups opens the files as they are; another one takes those that
// overlap its range and copies out what it needs.
//
//	config.go   Config, Shared
//	store.go    the contract: Open, Get, Put, Update, Delete, EndBatch, Cut
//	entry.go    an entry in the cache: its flags, and how it is counted
//	key.go      an entry's key in Pebble
//	pebble.go   Pebble's options
//	writer.go   writes batches
//	evict.go    what is written back and evicted, and when
//	read.go     misses and Prefetch
//	order.go    which sub-keys of a key are unwritten
//	scan.go     Scan and ScanAll; sweep.go Sweep
//	image.go    images; manifest.go the file that describes one
//	load.go     entries of a restore; files.go an image's files; copy.go other ranges
//	local.go    copies of files that outlive the store
//	count.go    Size after a restore
//	migrate.go  another schema
package lsm
