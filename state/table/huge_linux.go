package table

import "golang.org/x/sys/unix"

// advise asks for huge pages. Without them most of the time of a change in a large
// table is the processor's walk through its page tables. A kernel that has none refuses, and nothing
// else changes.
func advise(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
