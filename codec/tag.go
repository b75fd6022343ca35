package codec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// tagKey is the key of the struct tag that says what a field was called before.
const tagKey = "cairn"

// formerNames returns what the fields of a struct were called before, by their
// names: `cairn:"was=Cost"`, or `cairn:"was=Cost,was=Amount"`, the newest first.
// A former name is nobody's name now, and only one field's.
func formerNames(t reflect.Type, where string) (map[string][]string, error) {
	former, owner, now := map[string][]string{}, map[string]string{}, map[string]bool{}
	for i := range t.NumField() {
		now[t.Field(i).Name] = true
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup(tagKey)
		if !ok {
			continue
		}
		names, err := parseTag(tag)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w: %w", where, f.Name, ErrUnsupported, err)
		}
		for _, name := range names {
			if now[name] {
				return nil, fmt.Errorf("%s.%s: %w: it was %s, which is a field too", where, f.Name, ErrUnsupported, name)
			}
			if other := owner[name]; other != "" {
				return nil, fmt.Errorf("%s.%s: %w: it was %s, and so was %s", where, f.Name, ErrUnsupported, name, other)
			}
			owner[name] = f.Name
		}
		former[f.Name] = names
	}
	return former, nil
}

func parseTag(tag string) (names []string, err error) {
	for part := range strings.SplitSeq(tag, ",") {
		name, ok := strings.CutPrefix(strings.TrimSpace(part), "was=")
		if !ok || !isName(name) || slices.Contains(names, name) {
			return nil, fmt.Errorf("its tag is %s:%q: want %s:%q", tagKey, tag, tagKey, "was=Name")
		}
		names = append(names, name)
	}
	return names, nil
}
