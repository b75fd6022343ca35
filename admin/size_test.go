package admin

import "testing"

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1048576": 1 << 20, "256MiB": 256 << 20, "256 MiB": 256 << 20, "256mib": 256 << 20, "256Mi": 256 << 20,
		"4GB": 4e9, "1.5GiB": 3 << 29, "64k": 64_000, "12 b": 12,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1MiB", "12XB", "1e30GB", "1.2.3", "lots", "9999999999TB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}
