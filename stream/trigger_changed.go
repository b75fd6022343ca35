package stream

import (
	"encoding/binary"
)

// changedList is a queue of windows of keys. It holds no Go pointer per window.
type changedList struct {
	bytes []byte // key group and length as varints, the key, the window's begin as a varint
	head  int    // where the first is
}

func (l *changedList) empty() bool { return l.head == len(l.bytes) }

// size is the bytes of all that is in it.
func (l *changedList) size() int { return len(l.bytes) - l.head }

func (l *changedList) add(group int, key []byte, begin int64) {
	l.bytes = binary.AppendUvarint(l.bytes, uint64(group))
	l.bytes = binary.AppendUvarint(l.bytes, uint64(len(key)))
	l.bytes = append(l.bytes, key...)
	l.bytes = binary.AppendVarint(l.bytes, begin)
}

// next reads the window that is at bytes behind the first, and tells where the next one is.
func (l *changedList) next(at int) (group int, key []byte, begin int64, next int) {
	rest := l.bytes[l.head+at:]
	g, n := binary.Uvarint(rest)
	size, m := binary.Uvarint(rest[n:])
	from := n + m
	to := from + int(size)
	begin, n = binary.Varint(rest[to:])
	return int(g), rest[from:to:to], begin, at + to + n
}

// first is the bytes of the first n windows, or of all.
func (l *changedList) first(n int) int {
	at := 0
	for ; n > 0 && at < l.size(); n-- {
		_, _, _, at = l.next(at)
	}
	return at
}

// drop forgets the windows in the first n bytes.
func (l *changedList) drop(n int) {
	l.head += n
	if l.head > len(l.bytes)/2 {
		l.bytes, l.head = append(l.bytes[:0], l.bytes[l.head:]...), 0
	}
}
