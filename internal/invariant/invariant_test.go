package invariant_test

import (
	"testing"

	"github.com/cairnstream/cairn/internal/invariant"
)

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		cond, panics bool
	}{
		{cond: true, panics: false},
		{cond: false, panics: invariant.Enabled},
	} {
		panicked := func() (panicked bool) {
			defer func() { panicked = recover() != nil }()
			invariant.Check(test.cond, "%d of %d", 1, 2)
			return false
		}()
		if panicked != test.panics {
			t.Errorf("check of %v: panicked is %v, want %v", test.cond, panicked, test.panics)
		}
	}
}
