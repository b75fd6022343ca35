package codec

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"testing"
)

// compareKeys is the order that Ordered promises, written down by hand.
func compareKeys(x, y orderedKey) int {
	return cmp.Or(
		cmp.Compare(x.A, y.A),
		strings.Compare(x.B, y.B),
		cmp.Compare(x.C, y.C),
		cmp.Compare(x.D, y.D),
		x.E.Compare(y.E),
		slices.Compare(x.F[:], y.F[:]),
		bytes.Compare(x.G, y.G),
	)
}

func mustOrdered(t testing.TB) Codec[orderedKey] {
	t.Helper()
	c, err := Ordered[orderedKey]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
