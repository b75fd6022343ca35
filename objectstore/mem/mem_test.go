package mem_test

import (
	"testing"

	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/objectstore/mem"
	"github.com/cairnstream/cairn/objectstore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) objectstore.Bucket { return mem.New() })
}

func TestOpenSharesByName(t *testing.T) {
	a, b, other := mem.Open("one"), mem.Open("one"), mem.Open("two")
	if a != b || a == other {
		t.Error("buckets are not shared by name")
	}
}
