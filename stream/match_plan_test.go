package stream_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/connector/blackhole"
	"github.com/cairnstream/cairn/connector/generator"
	"github.com/cairnstream/cairn/engine"
	"github.com/cairnstream/cairn/objectstore/open"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/stream"
	"github.com/cairnstream/cairn/wire"
)

// TestPlanMatchesWithARestorePoint: a program that is started to plan reads the metadata object
// from its store and tells how it fits, without an error if it does not.
func TestPlanMatchesWithARestorePoint(t *testing.T) {
	dir := t.TempDir()
	url := "file://" + filepath.Join(dir, "store")
	bucket, err := open.Open(t.Context(), url, open.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	object, err := checkpointstore.New(bucket, "c").Write(t.Context(), &checkpointstore.Metadata{
		Job: "strokes-1", Attempt: 1, Checkpoint: 7, Graph: []byte("{}"), KeyGroups: 64,
		Processes: []snapshot.Process{{Process: "p", Subtasks: []snapshot.Subtask{{Operators: []snapshot.Operator{
			{UID: "gone", Keyed: &snapshot.Keyed{Entries: 3}}, {UID: "in", Lists: map[string][][]byte{"splits": {[]byte("{}")}}},
		}}}}},
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	request, err := protojson.Marshal(&wire.RestorePoint{Store: url, Key: object.Key, Size: object.Size, Sha256: object.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{stream.EnvPlan: "graph", stream.EnvPlanRestore: "restore", stream.EnvPlanMatch: "match"}
	for name, file := range files {
		t.Setenv(name, filepath.Join(dir, file))
	}
	if err := os.WriteFile(os.Getenv(stream.EnvPlanRestore), request, 0o600); err != nil {
		t.Fatal(err)
	}
	err = stream.Run(t.Context(), "strokes", nil, func(p *stream.Pipeline, _ []string) error {
		p.KeyGroups(64)
		in := stream.From(p, "in", &generator.Source[stroke]{}, stream.UID("in"), stream.Timestamps(strokeTime))
		stream.To(in, "out", blackhole.Sink[stroke]{}, stream.UID("out"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var m engine.Match
	data, err := os.ReadFile(os.Getenv(stream.EnvPlanMatch))
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := "[in 1>1 restored [splits source positions restored] out 0>1 new gone 1>0 dropped]"
	if got := fmt.Sprint(matchLines(&m)); got != want || m.Checkpoint != 7 || len(m.Refusals) != 1 || m.Refusal() == nil {
		t.Errorf("got %s, refusals %q; want %s", got, m.Refusals, want)
	}
}
