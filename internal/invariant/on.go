//go:build invariants

package invariant

// Enabled tells whether checks are made.
const Enabled = true
