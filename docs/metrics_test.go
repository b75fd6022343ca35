package docs

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMetricsAreThoseOfTheCode: every metric of controllers and workers is on the page,
// and every one on the page exists.
func TestMetricsAreThoseOfTheCode(t *testing.T) {
	quoted := regexp.MustCompile(`"(cairn_[a-z_]+)"`)
	code := map[string]bool{}
	for _, folder := range []string{"../controller", "../worker"} {
		files, err := filepath.Glob(folder + "/metrics*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("no metrics in %s: %v", folder, err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			for _, m := range quoted.FindAllStringSubmatch(read(t, f), -1) {
				code[m[1]] = true
			}
		}
	}
	if len(code) < 40 {
		t.Fatalf("only %d metrics in the code: it or this test has changed", len(code))
	}
	tables, _, _ := strings.Cut(read(t, "metrics.md"), "## Alerts")
	page := map[string]bool{}
	for _, m := range regexp.MustCompile("`(cairn_[a-z_]*[a-z])`").FindAllStringSubmatch(tables, -1) {
		page[m[1]] = true
	}
	for _, name := range slices.Sorted(maps.Keys(code)) {
		if !page[name] {
			t.Errorf("metrics.md does not have %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(page)) {
		if !code[name] {
			t.Errorf("metrics.md has %s, which nothing gives", name)
		}
	}
	_, alerts, _ := strings.Cut(read(t, "metrics.md"), "## Alerts")
	for _, name := range regexp.MustCompile("cairn_[a-z_]+").FindAllString(alerts, -1) {
		if !code[name] {
			t.Errorf("an alert is on %s, which nothing gives", name)
		}
	}
}

// TestComingFromFlinkHasEveryOption: whoever looks for an option of checkpoints finds it
// beside Flink's.
func TestComingFromFlinkHasEveryOption(t *testing.T) {
	options := read(t, "../dataflow/options.go")
	_, options, found := strings.Cut(options, "type CheckpointOptions struct {")
	options, _, whole := strings.Cut(options, "\n}\n")
	names := regexp.MustCompile("json:\"([a-z_]+),").FindAllStringSubmatch(options, -1)
	if !found || !whole || len(names) < 10 {
		t.Fatalf("only %d options in the code: it or this test has changed", len(names))
	}
	page := read(t, "coming-from-flink.md")
	for _, name := range append(names, []string{"", "checkpoint_interval"}, []string{"", "checkpoint_timeout"}, []string{"", "min_pause"}, []string{"", "tolerable_failures"}, []string{"", "retained"}) {
		if !strings.Contains(page, "`"+name[1]+"`") {
			t.Errorf("coming-from-flink.md does not have %s", name[1])
		}
	}
}
