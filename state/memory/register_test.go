package memory

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cairnstream/cairn/state"
)

// TestSizesBecomeKnownAfterRestore loads entries of a state whose sizes a log does not
// tell, in an order that makes the first slots too small.
func TestSizesBecomeKnownAfterRestore(t *testing.T) {
	for _, size := range []int{0, 8, 32, 120, 500} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			log := &keeper{}
			s, err := Open(Config{GroupLo: 0, GroupHi: 7, Log: log})
			if err != nil {
				t.Fatal(err)
			}
			d := state.Definition{Name: "a", Kind: "map", Schema: "x", SubSize: state.Variable, ValueSize: state.Variable}
			h, _ := s.Register(d)
			const n = 3000
			entry := func(i int) state.Entry {
				e := state.Entry{Handle: h, Group: i % 8, Key: fmt.Append(nil, i), Sub: make([]byte, i%3), Value: make([]byte, size)}
				copy(e.Value, binary.LittleEndian.AppendUint32(nil, uint32(i)))
				return e
			}
			for i := range n {
				if err := s.Load(entry(i)); err != nil {
					t.Fatal(err)
				}
			}
			d.ValueSize = size
			if again, err := s.Register(d); err != nil || again != h {
				t.Fatalf("handle %d, error %v", again, err)
			}
			for i := range n {
				e := entry(i)
				s.SetKey(e.Group, e.Key)
				if v, ok, _ := s.Get(h, e.Sub); !ok || string(v) != string(e.Value) {
					t.Fatalf("entry %d: %x, %v, want %x", i, v, ok, e.Value)
				}
			}
			if _ = s.EndBatch(); log.entries != 0 {
				t.Errorf("%d entries are logged again", log.entries)
			}
			if entries, _ := s.Size(); entries != n {
				t.Errorf("%d entries", entries)
			}
		})
	}
}
