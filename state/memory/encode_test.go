package memory

import (
	"bytes"
	"testing"

	"github.com/cairnstream/cairn/state"
	"github.com/cairnstream/cairn/state/table"
)

func TestAppendEntryIsTheStatesEncoding(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 1<<14 - 1, 1 << 14, 1 << 20} {
		for _, flags := range []table.Flags{0, deleted} {
			b := bytes.Repeat([]byte{7}, n)
			e := table.Item{Group: n, Flags: flags, Key: b, Sub: b[:n/2], Value: b}
			want := state.AppendEntry([]byte("front"), state.Entry{
				Handle: state.Handle(n), Deleted: flags == deleted, Group: n, Key: e.Key, Sub: e.Sub, Value: e.Value,
			})
			if got := appendEntry([]byte("front"), state.Handle(n), &e); !bytes.Equal(got, want) {
				t.Errorf("%d bytes, flags %d: another encoding", n, flags)
			}
		}
	}
}
