package savepoint

import (
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/cairnstream/cairn/dataflow"
)

// nameMax is how much of a uid or a state's name goes into a key.
const nameMax = 100

// names gives files names: those of operators and states as far as a key may have them. No
// two differ in case alone, since a folder on some disks could not hold both. The metadata says
// which file is what, so that no name has to be read back.
type names struct{ taken map[string]bool }

// folder is where the files of an operator go.
func (n *names) folder(uid dataflow.UID) string { return n.unique("operators/" + plain(string(uid))) }

// stem is the front of the names of a state's files.
func (n *names) stem(folder, state string) string { return n.unique(folder + "/" + plain(state)) }

func (n *names) unique(name string) string {
	if n.taken == nil {
		n.taken = map[string]bool{}
	}
	for try, free := 2, name; ; try++ {
		if !n.taken[strings.ToLower(free)] {
			n.taken[strings.ToLower(free)] = true
			return free
		}
		free = fmt.Sprintf("%s_%d", name, try)
	}
}

// plain replaces what a key must not have.
func plain(name string) string {
	ok := func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return r
		}
		return '_'
	}
	out := strings.Map(ok, name)
	if len(out) > nameMax {
		out = fmt.Sprintf("%s_%08x", out[:nameMax], crc32.ChecksumIEEE([]byte(name)))
	}
	if strings.Trim(out, ".") == "" {
		out = "_" + out
	}
	return out
}
