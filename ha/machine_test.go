package ha_test

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/cairnstream/cairn/ha"
)

var errStaleTerm = errors.New("command of another term")

// command is what the tests replicate.
type command struct {
	Term uint64 // of the proposer; 0: any
	Key  string
	Fail bool // makes Apply fail
}

func (c command) encode() []byte {
	data, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return data
}

// machine is a list of keys in the order in which they came first. A key's
// position is the result, also of the second proposal.
type machine struct {
	mu   sync.Mutex
	keys []string
}

func (m *machine) Apply(e ha.Entry) (any, error) {
	var c command
	if err := json.Unmarshal(e.Data, &c); err != nil {
		return nil, err
	}
	if c.Fail {
		return nil, errors.New("made to fail")
	}
	if c.Term != 0 && c.Term != e.Term {
		return errStaleTerm, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.Index(m.keys, c.Key)
	if i < 0 {
		i = len(m.keys)
		m.keys = append(m.keys, c.Key)
	}
	return i, nil
}

func (m *machine) Snapshot() (func(io.Writer) error, error) {
	frozen := m.all()
	return func(w io.Writer) error { return json.NewEncoder(w).Encode(frozen) }, nil
}

func (m *machine) Restore(r io.Reader) error {
	var keys []string
	if err := json.NewDecoder(r).Decode(&keys); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = keys
	return nil
}

func (m *machine) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.keys)
}
