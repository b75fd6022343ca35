package ha

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func snapshotOf(t *testing.T, state string) []byte {
	t.Helper()
	var b bytes.Buffer
	err := writeSnapshot(&b, snapshotHeader{index: 7, term: 3}, func(w io.Writer) error {
		for _, c := range []byte(state) { // in several writes
			if _, err := w.Write([]byte{c}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSnapshotRoundTrip(t *testing.T) {
	for _, state := range []string{"", "x", strings.Repeat("state", 10_000)} {
		header, r, err := readSnapshot(bytes.NewReader(snapshotOf(t, state)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != state || header != (snapshotHeader{7, 3}) {
			t.Errorf("%d bytes came back as %d at %v, %v", len(state), len(got), header, err)
		}
	}
}

// TestRestoreTakesAllOrNothing damages a snapshot in every byte and cuts it at
// every length: the state machine must see none of them.
func TestRestoreTakesAllOrNothing(t *testing.T) {
	whole := snapshotOf(t, "the state")
	damaged := map[int][]byte{}
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 1
		damaged[i] = bad
		damaged[-1-i] = whole[:i]
	}
	damaged[len(whole)] = append(slices.Clone(whole), 0)
	sm := &untouchable{}
	f := &fsm{sm: sm}
	for at, snapshot := range damaged {
		if err := f.Restore(io.NopCloser(bytes.NewReader(snapshot))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("damaged at %d: restore: %v", at, err)
		}
	}
	if sm.restored != 0 {
		t.Errorf("the state machine saw %d damaged snapshots", sm.restored)
	}
	if err := f.Restore(io.NopCloser(bytes.NewReader(whole))); err != nil || sm.restored != 1 {
		t.Errorf("restore of the whole: %v", err)
	}
	if index, term := f.position(); index != 7 || term != 3 {
		t.Errorf("position after restore: %d in term %d", index, term)
	}
}

// untouchable counts its restores.
type untouchable struct {
	StateMachine
	restored int
}

func (u *untouchable) Restore(io.Reader) error { u.restored++; return nil }

func TestEntry(t *testing.T) {
	for _, command := range []string{"", "command"} {
		entry := seal([]byte(command))
		if got, err := unseal(entry); err != nil || string(got) != command {
			t.Errorf("%q came back as %q, %v", command, got, err)
		}
		for i := range entry {
			bad := slices.Clone(entry)
			bad[i] ^= 1
			if _, err := unseal(bad); err == nil {
				t.Errorf("%q damaged at %d passed", command, i)
			}
		}
	}
}

// TestHello: a member of another cluster is cut off before Raft reads a byte.
func TestHello(t *testing.T) {
	ours := Config{Cluster: "ours", ID: "a", Peers: []Peer{{"a", "x:1"}, {"b", "x:2"}}}
	renamed, other := ours, ours
	renamed.Cluster = "theirs"
	other.Peers = []Peer{{"a", "x:1"}, {"c", "x:2"}}
	moved := ours
	moved.Peers = []Peer{{"b", "y:2"}, {"a", "y:1"}}
	for _, test := range []struct {
		name   string
		dialer Config
		want   error
	}{
		{"same cluster", ours, nil},
		{"other addresses, other order", moved, nil},
		{"other name", renamed, ErrForeignCluster},
		{"other members", other, ErrForeignCluster},
	} {
		t.Run(test.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := newStream(listener, ours)
			defer server.Close()
			client, err := newStream(nil, test.dialer).Dial(raft.ServerAddress(listener.Addr().String()), time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			conn, err := server.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := client.Write([]byte("raft")); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 4)
			_, err = io.ReadFull(conn, got)
			if !errors.Is(err, test.want) || (err == nil) != (string(got) == "raft") {
				t.Errorf("read %q, %v; want error %v", got, err, test.want)
			}
		})
	}
}

func TestValidateReportsEverything(t *testing.T) {
	err := Config{Peers: []Peer{{"a b", "nowhere"}, {"a b", "nowhere"}}, CommitTimeout: time.Hour, StallTimeout: 1}.Validate()
	if err == nil {
		t.Fatal("no problem found")
	}
	for _, want := range []string{"cluster", "id: missing", "data directory", "fatal", "commit timeout", "stall timeout", "spaces", "address", "twice"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %q in:\n%v", want, err)
		}
	}
}
