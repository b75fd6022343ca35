package codec

import (
	"bytes"
	"slices"
)

// mapWriter gathers the encoded entries of a map, which may come in any order.
type mapWriter struct {
	buf     []byte
	entries []mapSpan
}

type mapSpan struct{ from, value, to int }

func (w *mapWriter) begin()  { w.entries = append(w.entries, mapSpan{from: len(w.buf)}) }
func (w *mapWriter) endKey() { w.entries[len(w.entries)-1].value = len(w.buf) }
func (w *mapWriter) end()    { w.entries[len(w.entries)-1].to = len(w.buf) }

func (w *mapWriter) key(e mapSpan) []byte { return w.buf[e.from:e.value] }

// append appends the map, in ascending order of the encoded keys.
func (w *mapWriter) append(dst []byte, isNil bool) []byte {
	dst = appendCount(dst, len(w.entries), isNil)
	slices.SortFunc(w.entries, func(a, b mapSpan) int { return bytes.Compare(w.key(a), w.key(b)) })
	for _, e := range w.entries {
		dst = append(dst, w.buf[e.from:e.to]...)
	}
	return dst
}

// duplicate tells whether a key is there twice.
func (w *mapWriter) duplicate() bool {
	seen := map[string]bool{}
	for _, e := range w.entries {
		key := string(w.key(e))
		if seen[key] {
			return true
		}
		seen[key] = true
	}
	return false
}
