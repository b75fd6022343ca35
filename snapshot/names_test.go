package snapshot

import "testing"

func TestObjectNumber(t *testing.T) {
	for key, want := range map[string]struct {
		prefix string
		number uint64
		ok     bool
	}{
		"c/jobs/j/1/p/000000000007.0":                     {"c/jobs/j/1/p/", 7, true},
		"c/jobs/j/1/p/1000000000007.0":                    {"c/jobs/j/1/p/", 1000000000007, true},
		"c/jobs/j/1/p/000000000000.0":                     {},
		"c/jobs/j/1/p/000000000007.1":                     {},
		"c/jobs/j/1/p/7.0":                                {},
		"c/jobs/j/1/p/-00000000007.0":                     {},
		"c/jobs/j/metadata/000000000007-t3-0123456789abc": {},
		"": {},
	} {
		prefix, number, ok := ObjectNumber(key)
		if prefix != want.prefix || number != want.number || ok != want.ok {
			t.Errorf("%s: got %q %d %v, want %v", key, prefix, number, ok, want)
		}
	}
}
