package changelog

import (
	"github.com/cairnstream/cairn/state"
)

// LoadRecords implements Loader.
func (m table) LoadRecords(r state.Records, group int, data []byte) error {
	for ; len(data) > 0; data = data[r.Size():] {
		e := state.Entry{Handle: r.Handle, Group: group, Key: data[:r.KeySize], Value: data[r.KeySize+r.SubSize : r.Size()]}
		if err := m.Load(e); err != nil {
			return err
		}
	}
	return nil
}
