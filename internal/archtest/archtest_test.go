package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestArchitecture checks the module's own source.
func TestArchitecture(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module "+Module+"\n") {
		t.Fatalf("%s is not the root of %s: %v", root, Module, err)
	}
	problems, err := Check(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// TestCheck breaks each rule once.
func TestCheck(t *testing.T) {
	const module = `"` + Module + `/`
	for _, test := range []struct {
		name, file, text string
		want             string // in the only problem; "" if there is none
	}{
		{"allowed", "state/a.go", "// Package state is.\npackage state\nimport _ " + module + `objectstore/mem"`, ""},
		{"own tree", "state/memory/a.go", "// Package memory is.\npackage memory\nimport _ " + module + `state"`, ""},
		{"tool", "ha/a.go", "// Package ha is.\npackage ha\nimport _ " + module + `internal/invariant"`, ""},
		{"upwards", "state/a.go", "// Package state is.\npackage state\nimport _ " + module + `engine"`, "state may not know engine: state is kept"},
		{"strangers", "worker/a.go", "// Package worker is.\npackage worker\nimport _ " + module + `controller"`, "worker may not know controller: controller and worker are strangers"},
		{"child's own rule", "checkpointstore/catalog/a.go", "// Package catalog is.\npackage catalog\nimport _ " + module + `checkpointstore"`, "may not know checkpointstore"},
		{"test tool", "engine/a.go", "// Package engine is.\npackage engine\nimport _ " + module + `internal/virtual"`, "may not know internal/virtual"},
		{"similar name", "worker/a.go", "// Package worker is.\npackage worker\nimport _ " + module + `wireless"`, "may not know wireless"},
		{"tests may", "worker/a_test.go", "package worker\nimport _ " + module + `controller"`, ""},
		{"new package", "brand/a.go", "// Package brand is.\npackage brand", "brand: no rule"},
		{"no comment", "ha/a.go", "package ha", "no comment"},
		{"library", "controller/a.go", "// Package controller is.\npackage controller\nimport _ \"github.com/hashicorp/raft\"", "Raft's types stop at ha"},
		{"chance", "scheduler/a.go", "// Package scheduler is.\npackage scheduler\nimport _ \"math/rand/v2\"", "random numbers travel in the command"},
		{"clock", "controller/ledger/a.go", "// Package ledger is.\npackage ledger\nimport clock \"time\"\nvar x = clock.Now()", "may not use time.Now: time travels in the command"},
		{"duration", "controller/ledger/a.go", "// Package ledger is.\npackage ledger\nimport \"time\"\nvar x = time.Second", ""},
		{"another module", "tools/a.go", "package tools", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := fstest.MapFS{
				"go.mod":       {},
				"tools/go.mod": {},
				test.file:      {Data: []byte(test.text)},
			}
			problems, err := Check(files)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" && len(problems) > 0 {
				t.Errorf("found: %v", problems)
			}
			if test.want != "" && (len(problems) != 1 || !strings.Contains(problems[0], test.want)) {
				t.Errorf("found %q, want one with %q", problems, test.want)
			}
		})
	}
}

// TestRulesAreSound: no package has two rules, and what a rule names has one.
func TestRulesAreSound(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules {
		if seen[r.Package] {
			t.Errorf("%s has two rules", r.Package)
		}
		if r.Why == "" {
			t.Errorf("%s: no reason", r.Package)
		}
		seen[r.Package] = true
	}
	for _, r := range Rules {
		for _, k := range r.Knows {
			if _, ok := ruleOf(k); !ok && k != "*" {
				t.Errorf("%s knows %s, which has no rule", r.Package, k)
			}
		}
	}
}
