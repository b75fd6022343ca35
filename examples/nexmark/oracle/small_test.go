package main

import (
	"bytes"
	"path/filepath"
	"testing"
)

// TestSmallCheck is the check on real clusters, at a tenth of the events and in a few combinations: each query once at
// parallelism 4, and those with the most to restore with a worker killed in the middle. The
// others take go run . check some 20 minutes.
func TestSmallCheck(t *testing.T) {
	dir := t.TempDir()
	cairn, err := buildCairn(t.Context(), filepath.Join("..", "..", ".."), dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{
		"each":   {"--backends", "memory", "--faults", "none"},
		"killed": {"--backends", "lsm", "--faults", "worker", "--queries", "q4,q5,q8,q11"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			args := []string{"check", "--cairn", cairn, "--dir", dir, "--events", "100000", "--parallelism", "4"}
			err := run(t.Context(), append(args, flags...), &out)
			t.Logf("seed 1\n%s", &out)
			if err != nil {
				t.Error(err)
			}
		})
	}
}
