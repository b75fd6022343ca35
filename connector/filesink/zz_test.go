package filesink_test

import (
	"fmt"
	"testing"

	"github.com/cairnstream/cairn/connector/connectortest"
	"github.com/cairnstream/cairn/connector/filesink"
	"github.com/cairnstream/cairn/objectstore/file"
	"github.com/cairnstream/cairn/objectstore"
	"os/exec"
)

func TestZZ(t *testing.T) {
	var b objectstore.Bucket
	var dir string
	c := config(func() *filesink.Sink[record] { return filesink.JSONLines[record]("x") }, func(t *testing.T) objectstore.Bucket {
		dir = t.TempDir()
		var err error
		b, err = file.Open(dir, file.Options{})
		if err != nil { t.Fatal(err) }
		t.Cleanup(func() { if t.Failed() { out, _ := exec.Command("find", dir, "-type", "f", "-printf", "%P %i %n %s\n").Output(); fmt.Println(string(out)) } })
		return b
	}, decodeJSON); c.Runs = 5; connectortest.Sink(t, c)
}
