package checkpointstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/snapshot"
)

// Format is the version of the metadata object that this code writes. A reader
// refuses a higher one: it may not guess what it does not know. FormatInFlight is that of
// a checkpoint with records in flight: a reader of Format alone would lose them.
const (
	Format         = 1
	FormatInFlight = 2
)

// magic begins every metadata object, so that a person who opens one, and a
// rebuild that finds one, knows what it is.
const magic = "cairn-checkpoint"

// headerBytesMax bounds the header line; it takes about 110 bytes.
const headerBytesMax = 256

// Metadata is everything that is needed to restore a job from one checkpoint
// with nothing but the bucket: the job's graph, what to run, and each process's
// part with references to bytes that are already durable.
type Metadata struct {
	Format     int                   `json:"format"`
	Cluster    string                `json:"cluster"`
	Job        dataflow.JobID        `json:"job"`
	JobName    string                `json:"job_name"`
	Attempt    dataflow.Attempt      `json:"attempt"`
	Checkpoint dataflow.CheckpointID `json:"checkpoint"`
	BegunAt    time.Time             `json:"begun_at"`
	// Trigger says what began it: periodic, manual, final.
	Trigger          string          `json:"trigger"`
	GraphFingerprint string          `json:"graph_fingerprint"`
	Graph            json.RawMessage `json:"graph"`      // the dataflow.Graph
	KeyGroups        int             `json:"key_groups"` // the job's, fixed at its first submit
	Artifact         string          `json:"artifact"`   // SHA-256 of the job's executable, hexadecimal
	// Processes are the acknowledgements, in the order of process names.
	Processes []snapshot.Process `json:"processes"`
	// Folder says that this is a canonical savepoint; nil for a checkpoint.
	Folder *Folder `json:"folder,omitempty"`
}

// format is the version that m needs.
func (m *Metadata) format() int {
	if m.Folder != nil {
		return FormatFolder
	}
	if snapshot.HasInFlight(m.Processes) {
		return FormatInFlight
	}
	return Format
}

// Encode returns the metadata object's bytes: a header line and the JSON that
// it names by length and SHA-256. Equal values encode to equal bytes, so a
// retry writes what the try before it wrote.
func Encode(m *Metadata) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("encode metadata of checkpoint %d: %w", m.Checkpoint, err)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode metadata of checkpoint %d: %w", m.Checkpoint, err)
	}
	header := fmt.Sprintf("%s %d sha256=%s length=%d\n", magic, m.Format, hexSHA256(body), len(body))
	return append([]byte(header), body...), nil
}

// ErrNewer is returned for a metadata object of a format that this version does not know.
var ErrNewer = errors.New("written by a newer version")

// Decode verifies and reads a metadata object. What is damaged, cut or no
// metadata object at all is objectstore.ErrCorrupt; a format of a later version
// is an error that says so.
func Decode(data []byte) (*Metadata, error) {
	m, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("decode checkpoint metadata: %w", err)
	}
	return m, nil
}

func decode(data []byte) (*Metadata, error) {
	line, body, found := bytes.Cut(data, []byte("\n"))
	if !found || len(line) > headerBytesMax {
		return nil, fmt.Errorf("%w: no header line", objectstore.ErrCorrupt)
	}
	var format, length int
	var sum string
	if _, err := fmt.Sscanf(string(line), magic+" %d sha256=%64s length=%d", &format, &sum, &length); err != nil {
		return nil, fmt.Errorf("%w: header %.80q: %w", objectstore.ErrCorrupt, line, err)
	}
	if format < 1 || format > FormatFolder {
		return nil, fmt.Errorf("%w: format %d: this version of cairn reads up to %d", ErrNewer, format, FormatFolder)
	}
	if length != len(body) {
		return nil, fmt.Errorf("%w: %d bytes after the header, want %d", objectstore.ErrCorrupt, len(body), length)
	}
	if got := hexSHA256(body); got != sum {
		return nil, fmt.Errorf("%w: SHA-256 %s, want %s", objectstore.ErrCorrupt, got, sum)
	}
	return unmarshal(body, format)
}

// unmarshal reads a body whose checksum is right.
func unmarshal(body []byte, format int) (*Metadata, error) {
	m := new(Metadata)
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w: %w", objectstore.ErrCorrupt, err)
	}
	if m.Format != format {
		return nil, fmt.Errorf("%w: format %d in the header and %d in the body", objectstore.ErrCorrupt, format, m.Format)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", objectstore.ErrCorrupt, err)
	}
	return m, nil
}

// check is made before writing and after reading.
func (m *Metadata) check() error {
	var missing []string
	need := func(name string, present bool) {
		if !present {
			missing = append(missing, name)
		}
	}
	need("format", m.Format == m.format())
	need("cluster", m.Cluster != "")
	need("job", m.Job != "")
	need("attempt", m.Attempt != 0)
	need("checkpoint", m.Checkpoint != 0)
	need("graph", len(m.Graph) > 0)
	need("key_groups", m.KeyGroups > 0)
	if len(missing) > 0 {
		return fmt.Errorf("missing or out of range: %s", strings.Join(missing, ", "))
	}
	return nil
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
