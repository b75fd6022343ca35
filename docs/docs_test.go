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
	_, test, _ := strings.Cut(read(t, "../README.md"), "```go\nfunc TestShop")
	test, _, _ = strings.Cut(test, "```")
	if test == "" || !strings.Contains(read(t, "../examples/shop/main_test.go"), "func TestShop"+test) {
		t.Error("README.md does not show the beginning of examples/shop/main_test.go as it is")
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

// fenced is a block of code.
var fenced = regexp.MustCompile("(?s)```.*?```")

// TestLinksLeadSomewhere checks the links between pages.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, page), ""), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", page, m[1], err)
			}
		}
	}
}

// TestWritingJobsShowsTheExamples: the code in the guide is the code that is built and tested.
func TestWritingJobsShowsTheExamples(t *testing.T) {
	guide := read(t, "writing-jobs.md")
	job, test := read(t, "../examples/shop/main.go"), read(t, "../examples/shop/main_test.go")
	for _, file := range []string{job, test} {
		if !strings.Contains(guide, "```go\n"+file+"```\n") {
			t.Errorf("writing-jobs.md does not show examples/shop as it is:\n%s", file)
		}
	}
	built := job + test + read(t, "../examples/shop/quiet_test.go")
	for _, block := range fenced.FindAllString(guide, -1) {
		code := strings.TrimSuffix(strings.TrimPrefix(block, "```go\n"), "```")
		if !strings.Contains(built, code) {
			t.Errorf("writing-jobs.md shows code that examples/shop does not have:\n%s", code)
		}
	}
}

var (
	// called is a name in the guide: a code span of its own, or with its arguments.
	called = regexp.MustCompile("`(?:stream\\.|job\\.|in\\.)?([A-Z][A-Za-z]+)(?:\\[[A-Z]\\])?[`(]")
	// declared is a name in code: a function, a method, a type or a field.
	declared = regexp.MustCompile(`(?m)^(?:func (?:\([^)]*\) )?|type |\t)([A-Z][A-Za-z]+)[\[( ]`)
)

// TestWritingJobsNamesWhatExists: what the guide names is in the SDK.
func TestWritingJobsNamesWhatExists(t *testing.T) {
	exists := map[string]bool{"MaxDelay": true} // a field of the reader's own
	for _, dir := range []string{"../stream/*.go", "../stream/streamtest/*.go", "../state/*.go"} {
		paths, err := filepath.Glob(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			for _, m := range declared.FindAllStringSubmatch(read(t, p), -1) {
				exists[m[1]] = true
			}
		}
	}
	names := called.FindAllStringSubmatch(read(t, "writing-jobs.md"), -1)
	if len(names) < 60 {
		t.Errorf("only %d names in writing-jobs.md: the guide or this test has changed", len(names))
	}
	for _, m := range names {
		if !exists[m[1]] {
			t.Errorf("writing-jobs.md names %s: the SDK has no such thing", m[1])
		}
	}
}
