// Package docs holds the documentation, and tests that keep it true.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReadmeShowsTheExample: the job in the README is the one that is built.
func TestReadmeShowsTheExample(t *testing.T) {
	_, code, ok := strings.Cut(read(t, "../examples/clicks/main.go"), "package main\n")
	if !ok || !strings.Contains(read(t, "../README.md"), "```go\npackage main\n"+code+"```\n") {
		t.Error("README.md does not show examples/clicks/main.go as it is")
	}
}

// place is a file in a table of the architecture, with the functions named
// right behind it.
var place = regexp.MustCompile("`([a-z_/0-9]+\\.go)`((?:,? `[A-Za-z]+`)*)")

// TestArchitectureNamesWhatExists: a newcomer who follows the architecture's
// tables finds each file and each function.
func TestArchitectureNamesWhatExists(t *testing.T) {
	found := place.FindAllStringSubmatch(read(t, "architecture.md"), -1)
	if len(found) < 20 {
		t.Fatalf("only %d places in architecture.md: the tables or this test have changed", len(found))
	}
	for _, m := range found {
		code, err := os.ReadFile(filepath.Join("..", m[1]))
		if err != nil {
			t.Errorf("architecture.md names %s: %v", m[1], err)
			continue
		}
		for _, name := range regexp.MustCompile("[A-Za-z]+").FindAllString(m[2], -1) {
			if !regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + name + `[\[(]`).Match(code) {
				t.Errorf("architecture.md looks for %s in %s: it is not there", name, m[1])
			}
		}
	}
}

// link is a relative link in a page: its text has no quotes, as code would.
var link = regexp.MustCompile(`\[[^\]"]+\]\(([a-zA-Z0-9_./-]+)\)`)

// TestLinksLeadSomewhere checks the links between pages.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", page, m[1], err)
			}
		}
	}
}
