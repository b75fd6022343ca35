package savepoint_test

import (
	"bytes"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/savepoint"
)

const page = "../docs/formats/savepoint.md"

// columnsOf are the columns of a savepoint's files by the folder's path and the state's name, and
// all of them together by the kind of state: keyed or not. Fields of groups follow a dot.
func columnsOf(t *testing.T) (byFile map[string][]string, keyed, items map[string]bool) {
	t.Helper()
	w, m := filled(t, "memory", false)
	to, _ := w.write(m, 0)
	opened := must[*checkpointstore.Metadata](t)(savepoint.Open(t.Context(), to, "points/1/"))
	byFile, keyed, items = map[string][]string{}, map[string]bool{}, map[string]bool{}
	for _, f := range opened.Folder.Files {
		data := must[[]byte](t)(to.Get(t.Context(), "points/1/"+f.Name, 0, -1))
		p := must[*parquet.File](t)(parquet.OpenFile(bytes.NewReader(data), int64(len(data))))
		all := keyed
		if strings.Contains(f.Kind, " list") || f.Kind == "broadcast state" {
			all = items
		}
		if f.Kind == "list end" {
			all = keyed
		}
		stem, _, _ := strings.Cut(f.Name, "-")
		for _, path := range p.Schema().Columns() {
			byFile[stem] = append(byFile[stem], strings.Join(path, "."))
			all[path[0]] = true
		}
	}
	return byFile, keyed, items
}

// section is the part of the page below a heading.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", page, heading)
	}
	part, _, _ := strings.Cut(rest, "\n## ")
	return part
}

// TestPageNamesAllColumns: those of the tables are those of the files, no more and no less.
func TestPageNamesAllColumns(t *testing.T) {
	text := string(must[[]byte](t)(os.ReadFile(page)))
	_, keyed, items := columnsOf(t)
	name := regexp.MustCompile("`([a-z_]+)`")
	for heading, want := range map[string]map[string]bool{"Columns of keyed state": keyed, "Columns of operator state": items} {
		got := map[string]bool{}
		for line := range strings.Lines(section(t, text, heading)) {
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
			if !strings.HasPrefix(first, "`") || strings.Contains(first, "bool") {
				continue
			}
			for _, m := range name.FindAllStringSubmatch(first, -1) {
				if isColumn(line) {
					got[m[1]] = true
				}
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: the page has %v, the files %v", heading, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
}

// isColumn tells a row of the tables of columns, which have four cells, from one of types.
func isColumn(line string) bool { return strings.Count(line, " | ") == 3 }

// TestExamplesOfThePageFit: the files are there that the examples read, with the columns that
// they use.
func TestExamplesOfThePageFit(t *testing.T) {
	text := section(t, string(must[[]byte](t)(os.ReadFile(page))), "Reading it with other tools")
	byFile, _, _ := columnsOf(t)
	uses := map[string][]string{
		"total":  {"key", "value.Sum", "key_group"},
		"window": {"namespace.Start", "value"},
		"words":  {"key", "map_key", "value.Sum"},
	}
	paths := regexp.MustCompile(`my-savepoint/(operators/[^-'"]+)-`).FindAllStringSubmatch(text, -1)
	if len(paths) != len(uses) {
		t.Fatalf("the examples read %v", paths)
	}
	for _, m := range paths {
		state := m[1][strings.LastIndexByte(m[1], '/')+1:]
		for _, column := range uses[state] {
			if !slices.Contains(byFile[m[1]], column) {
				t.Errorf("%s has columns %v, not %s", m[1], byFile[m[1]], column)
			}
			for word := range strings.SplitSeq(column, ".") {
				if !strings.Contains(text, word) {
					t.Errorf("no example uses %s", word)
				}
			}
		}
	}
}
