package filesink

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/objectstore"
)

// stagingFolder holds what is prepared. Readers don't look there.
const stagingFolder = "_staging/"

// partName is what a part's final name depends on, besides job and sink.
type partName struct {
	checkpoint dataflow.CheckpointID
	subtask    int
	n          int // among the subtask's parts in the checkpoint, from 0
	extension  string
}

// final is the name under which a part is committed. Checkpoint ids are never
// reused, and an id belongs to one attempt, so one name has one content.
func (p partName) final(job dataflow.JobID, uid dataflow.UID) string {
	return fmt.Sprintf("%s%05d-%012d-%05d.%s", finalPrefix(job, uid), p.subtask, p.checkpoint, p.n, p.extension)
}

func finalPrefix(job dataflow.JobID, uid dataflow.UID) string {
	return string(job) + "/" + escape(uid) + "/part-"
}

// parseFinal reads the last segment of a final name.
func parseFinal(key string) (p partName, ok bool) {
	n, err := fmt.Sscanf(path.Base(key), "part-%05d-%012d-%05d.%s", &p.subtask, &p.checkpoint, &p.n, &p.extension)
	return p, n == 4 && err == nil
}

// staged is the name of the part before it is committed. It tells attempt and
// process too, so that no two writers ever share one.
func (p partName) staged(env connector.Env) string {
	return fmt.Sprintf("%sc%012d-a%06d-s%05d-n%05d-%s.%s", stagedPrefix(env.Job, env.UID),
		p.checkpoint, env.Attempt, p.subtask, p.n, env.Process, p.extension)
}

func stagedPrefix(job dataflow.JobID, uid dataflow.UID) string {
	return stagingFolder + string(job) + "/" + escape(uid) + "/"
}

// parseStaged reads checkpoint and attempt from a staged name.
func parseStaged(key string) (checkpoint dataflow.CheckpointID, attempt dataflow.Attempt, ok bool) {
	n, err := fmt.Sscanf(path.Base(key), "c%012d-a%06d-", &checkpoint, &attempt)
	return checkpoint, attempt, n == 2 && err == nil
}

// escape makes a uid a segment of a key: lower-case letters, digits, '-', '_' and
// '.' stay, other bytes become = and two hexadecimal digits. Capitals too, since some
// disks don't tell them from small letters.
func escape(uid dataflow.UID) string {
	var b strings.Builder
	for i := range len(uid) {
		c := uid[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02x", c)
		}
	}
	return b.String()
}

// payload is a transaction: one part.
type payload struct {
	Staged objectstore.Ref `json:"staged"`
	Final  string          `json:"final"`
}

func encodePayload(p payload) ([]byte, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("describe part %s: %w", p.Final, err)
	}
	return b, nil
}

func decodePayload(b []byte) (p payload, err error) {
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("transaction of a file sink: %w", err)
	}
	if p.Final == "" || p.Staged.Key == "" {
		return p, fmt.Errorf("transaction of a file sink: no part in %q", b)
	}
	return p, nil
}
