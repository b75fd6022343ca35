package dataflow

import "github.com/cespare/xxhash/v2"

// KeyHash is the hash of an encoded key. It is computed once per record and
// decides the key group; it must never change, since state is stored by it.
func KeyHash(key []byte) uint64 { return xxhash.Sum64(key) }

// KeyGroup is the key group of a hash. The low 32 bits choose it (by
// multiplication, which is exact and has no division), so that the high ones
// are left for hash tables.
func KeyGroup(hash uint64, groups int) int {
	return int((hash & 0xffffffff) * uint64(groups) >> 32)
}

// GroupRange is the range of key groups, both ends included, that a subtask owns.
// The ranges of all subtasks cover all groups without overlap, as in Flink's
// KeyGroupRangeAssignment.
func GroupRange(groups, parallelism, subtask int) (lo, hi int) {
	lo = (subtask*groups + parallelism - 1) / parallelism
	hi = ((subtask+1)*groups - 1) / parallelism
	return lo, hi
}

// SubtaskOf is the subtask that owns a key group.
func SubtaskOf(group, groups, parallelism int) int { return group * parallelism / groups }
