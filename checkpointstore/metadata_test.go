package checkpointstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// example has something in every field.
func example() *Metadata {
	return &Metadata{
		Format: Format, Cluster: "c1", Job: "flights-abc123", JobName: "flights", Attempt: 3, Checkpoint: 41,
		BegunAt: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), Trigger: "periodic",
		GraphFingerprint: "f00d", Graph: json.RawMessage(`{"operators":[]}`), KeyGroups: 1024,
		Artifact: strings.Repeat("ab", 32),
		Processes: []snapshot.Process{{
			Process: "p1",
			Subtasks: []snapshot.Subtask{{
				Task: dataflow.TaskID{Vertex: 1, Subtask: 2},
				Operators: []snapshot.Operator{{
					UID: "count",
					Keyed: &snapshot.Keyed{GroupLo: 0, GroupHi: 511, Entries: 9, Bytes: 99, Segments: []snapshot.Segment{{
						Ref: objectstore.Ref{Key: "c1/jobs/flights-abc123/3/p1/000000000001.0", Offset: 8, Length: 16, CRC32C: 0xdeadbeef},
						To:  7, GroupHi: 511,
					}}},
					Lists:        map[string][][]byte{"splits": {{1, 2}, {3}}},
					Transactions: []snapshot.Transaction{{Checkpoint: 41, Attempt: 3, Payload: []byte("x")}},
				}},
			}},
			Objects: []snapshot.Run{{Prefix: "c1/jobs/flights-abc123/3/p1/", Lo: 1, Hi: 4}},
			Bytes:   123, Puts: 4,
		}},
	}
}

func encoded(t *testing.T, m *Metadata) []byte {
	t.Helper()
	data, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMetadataRoundTrip(t *testing.T) {
	m := example()
	data := encoded(t, m)
	got, err := Decode(data)
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("decoded %+v, %v", got, err)
	}
	if !bytes.Equal(data, encoded(t, got)) {
		t.Error("the same metadata encodes to other bytes")
	}
}

// The golden file is format 1: this test fails when the bytes change, and then
// it is another format.
func TestMetadataGolden(t *testing.T) {
	want, err := os.ReadFile("testdata/metadata-1")
	if err != nil {
		t.Fatal(err)
	}
	if got := encoded(t, example()); !bytes.Equal(got, want) {
		t.Errorf("encoded\n%s\nwant\n%s", got, want)
	}
	if got, err := Decode(want); err != nil || !reflect.DeepEqual(got, example()) {
		t.Errorf("decoded %+v, %v", got, err)
	}
}

func TestMetadataDamage(t *testing.T) {
	data := encoded(t, example())
	for what, damaged := range map[string][]byte{
		"empty": nil, "cut": data[:len(data)-1], "cut in the header": data[:40], "longer": append(bytes.Clone(data), ' '),
		"another file": []byte("name,delay\nAA,3\n"), "header only": data[:bytes.IndexByte(data, '\n')+1],
	} {
		if _, err := Decode(damaged); !errors.Is(err, objectstore.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		damaged := bytes.Clone(data)
		at, bit := random.IntN(len(data)), random.IntN(8)
		damaged[at] ^= 1 << bit
		if m, err := Decode(damaged); err == nil {
			t.Fatalf("seed %d: bit %d of byte %d is flipped and %+v is read", seed, bit, at, m)
		}
	}
}

func TestMetadataOfALaterFormat(t *testing.T) {
	data := bytes.Replace(encoded(t, example()), []byte("cairn-checkpoint 1 "), []byte("cairn-checkpoint 9 "), 1)
	_, err := Decode(data)
	if err == nil || errors.Is(err, objectstore.ErrCorrupt) || !strings.Contains(err.Error(), "format 9") {
		t.Errorf("error %v: want one that tells the format and not damage", err)
	}
}

func TestMetadataIncomplete(t *testing.T) {
	m := example()
	m.Job, m.KeyGroups = "", 0
	if _, err := Encode(m); err == nil || !strings.Contains(err.Error(), "job, key_groups") {
		t.Errorf("error %v", err)
	}
}
