// Package invariant states what can never be false. Built with the tag
// "invariants", as tests are, a check that fails stops the process on the spot;
// without it the compiler removes the check. Code must be correct without its
// checks: they find bugs, they do not handle errors.
//
//	if invariant.Enabled {
//		invariant.Check(slices.IsSorted(ids), "pending checkpoints out of order: %v", ids)
//	}
//
// The condition around a Check is for arguments that cost something to compute;
// cheap ones can do without.
package invariant

import "fmt"

// Check panics, when Enabled, if cond is false. Format and args say what was
// found instead.
func Check(cond bool, format string, args ...any) {
	if Enabled && !cond {
		panic("invariant broken: " + fmt.Sprintf(format, args...))
	}
}
