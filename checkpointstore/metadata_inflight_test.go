package checkpointstore

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

var rewrite = flag.Bool("rewrite-inflight", false, "write testdata/metadata-2 anew")

// overtaken is the example with something in flight.
func overtaken() *Metadata {
	m := example()
	m.Format = FormatInFlight
	p := &m.Processes[0]
	p.Subtasks[0].InFlight = []snapshot.InFlight{
		{Edge: 1, From: 0, To: 2, Rows: 9, Ref: objectstore.Ref{Key: "c1/jobs/flights-abc123/3/p1/000000000004.0", Offset: 8, Length: 90, CRC32C: 0xfeed}},
		{Edge: 2, From: 2, To: 1, Output: true, Age: 1, Rows: 4, Ref: objectstore.Ref{Key: "c1/jobs/flights-abc123/3/p1/000000000004.0", Offset: 98, Length: 50, CRC32C: 0xbeef}},
	}
	p.Edges = []snapshot.Edge{
		{Index: 1, From: "in", To: "count", Partitioning: dataflow.Hash, Schema: "int", KeySchema: "string"},
		{Index: 2, From: "count", Output: 1, To: "join", Input: 1, Partitioning: dataflow.Rebalance, Schema: "int"},
	}
	p.InFlightBytes = 140
	return m
}

// TestMetadataWithRecordsInFlight: the golden file is format 2, and nothing says that such a
// checkpoint is of format 1, whose readers would lose the records.
func TestMetadataWithRecordsInFlight(t *testing.T) {
	const golden = "testdata/metadata-2"
	got := encoded(t, overtaken())
	if *rewrite {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("encoded\n%s\nwant\n%s", got, want)
	}
	if m, err := Decode(want); err != nil || !reflect.DeepEqual(m, overtaken()) {
		t.Errorf("decoded %+v, %v", m, err)
	}
	m := overtaken()
	m.Format = Format
	if _, err := Encode(m); err == nil || !strings.Contains(err.Error(), "format") {
		t.Errorf("as format %d: error %v", Format, err)
	}
}
