package catalog

import (
	"iter"
	"slices"
	"sort"
)

// chunkMax is how many elements a chunk of a seq holds: a change copies one chunk,
// and 10,000 elements are 313 chunks.
const chunkMax = 32

// seq is a long sequence as an immutable value: a change returns the next one and
// shares all chunks that it does not touch. The zero value is empty.
//
// It is made for what is added at one end and let go of at the other: these
// two cost no more with 10,000 elements than with 10. A change in the middle copies
// one chunk and the list of them.
//
// Invariant: chunks are never written to again, and none of body is empty. There is a
// head when there is a body, and a tail when there is anything.
type seq[T any] struct {
	head []T
	body [][]T
	tail []T
	n    int
}

// place is where an element of a seq is. It holds for one value of the seq only.
type place struct{ chunk, at int }

// chunks is how many there are, with head and tail.
func (s seq[T]) chunks() int { return len(s.body) + 2 }

func (s seq[T]) chunk(i int) []T {
	switch i {
	case 0:
		return s.head
	case len(s.body) + 1:
		return s.tail
	}
	return s.body[i-1]
}

func (s seq[T]) get(p place) T { return s.chunk(p.chunk)[p.at] }

// end is the place behind the last element.
func (s seq[T]) end() place { return place{s.chunks() - 1, len(s.tail)} }

// within tells whether there is an element at p.
func (s seq[T]) within(p place) bool { return p.at < len(s.chunk(p.chunk)) }

// next is the place behind p, of an element or the end.
func (s seq[T]) next(p place) place { return s.settle(place{p.chunk, p.at + 1}) }

// settle takes a place behind a chunk's last element to the next chunk's first.
func (s seq[T]) settle(p place) place {
	for p.chunk < s.chunks()-1 && p.at >= len(s.chunk(p.chunk)) {
		p = place{p.chunk + 1, 0}
	}
	return p
}

// search is the place of the first element for which found is true; found must be
// false for all before it and true for all behind it.
func (s seq[T]) search(found func(T) bool) place {
	last := s.chunks() - 1
	c := sort.Search(last, func(i int) bool {
		chunk := s.chunk(i)
		return len(chunk) > 0 && found(chunk[len(chunk)-1])
	})
	chunk := s.chunk(c)
	return place{c, sort.Search(len(chunk), func(i int) bool { return found(chunk[i]) })}
}

// from yields the elements from p on, in order, with their places.
func (s seq[T]) from(p place) iter.Seq2[place, T] {
	return func(yield func(place, T) bool) {
		for ; p.chunk < s.chunks(); p = (place{p.chunk + 1, 0}) {
			chunk := s.chunk(p.chunk)
			for ; p.at < len(chunk); p.at++ {
				if !yield(p, chunk[p.at]) {
					return
				}
			}
		}
	}
}

// all yields all elements in order.
func (s seq[T]) all() iter.Seq[T] { return values(s.from(place{})) }

// before yields the elements before p, the last first.
func (s seq[T]) before(p place) iter.Seq[T] {
	return func(yield func(T) bool) {
		for c, at := p.chunk, p.at; c >= 0; {
			for chunk := s.chunk(c); at > 0; at-- {
				if !yield(chunk[at-1]) {
					return
				}
			}
			if c--; c >= 0 {
				at = len(s.chunk(c))
			}
		}
	}
}

func (s seq[T]) first() (first T, found bool) {
	for _, v := range s.from(place{}) {
		return v, true
	}
	return first, false
}

func (s seq[T]) last() (last T, found bool) {
	for v := range s.before(s.end()) {
		return v, true
	}
	return last, false
}

// slice returns all elements.
func (s seq[T]) slice() []T { return slices.AppendSeq(make([]T, 0, s.n), s.all()) }

// append adds v behind all others.
func (s seq[T]) append(v T) seq[T] { return s.replace(s.end(), s.end(), v) }

// set replaces the element at p.
func (s seq[T]) set(p place, v T) seq[T] { return s.replace(p, s.next(p), v) }

// remove leaves out the element at p.
func (s seq[T]) remove(p place) seq[T] { return s.replace(p, s.next(p)) }

// replace puts mid in the place of all elements from p up to q.
func (s seq[T]) replace(p, q place, mid ...T) seq[T] {
	p, q = s.settle(p), s.settle(q)
	last := s.chunks() - 1
	switch {
	case p.chunk == last:
		return s.replaceInTail(p.at, q.at, mid)
	case len(mid) == 0 && p.chunk == 0 && p.at == 0 && q.chunk <= 1:
		return s.cutHead(q)
	}
	return s.rebuild(p, q, mid)
}

func (s seq[T]) replaceInTail(i, j int, mid []T) seq[T] {
	if i == 0 && len(mid) == 0 { // also the usual end of a short one's oldest
		s.n -= j
		s.tail = s.tail[j:]
		return s.tailKept()
	}
	tail := make([]T, 0, len(s.tail)-(j-i)+len(mid))
	tail = append(append(append(tail, s.tail[:i]...), mid...), s.tail[j:]...)
	s.n += len(tail) - len(s.tail)
	s.tail = tail
	if len(tail) <= chunkMax {
		return s.tailKept()
	}
	full := len(tail) / chunkMax * chunkMax
	s.tail = tail[full:len(tail):len(tail)]
	s.body = slices.Clip(s.body) // another value may have its own behind it
	for c := range slices.Chunk(tail[:full:full], chunkMax) {
		s.body = append(s.body, c)
	}
	if len(s.head) == 0 {
		s.head, s.body = s.body[0], s.body[1:]
	}
	return s.tailKept()
}

// tailKept takes the last chunk for the tail if the tail is empty.
func (s seq[T]) tailKept() seq[T] {
	switch {
	case len(s.tail) > 0:
	case len(s.body) > 0:
		s.tail, s.body = s.body[len(s.body)-1], s.body[:len(s.body)-1]
	default:
		s.tail, s.head = s.head, nil
	}
	return s
}

// cutHead leaves out all elements before q, which is in the first chunks.
func (s seq[T]) cutHead(q place) seq[T] {
	if q.chunk == 1 && len(s.body) == 0 { // q is in the tail
		s.n -= len(s.head) + q.at
		s.head, s.tail = nil, s.tail[q.at:]
		return s
	}
	if q.chunk == 1 {
		s.n -= len(s.head)
		s.head, s.body = s.body[0], s.body[1:]
	}
	s.n -= q.at
	s.head = s.head[q.at:]
	return s
}

// rebuild is a change anywhere.
func (s seq[T]) rebuild(p, q place, mid []T) seq[T] {
	middle := slices.Concat(s.chunk(p.chunk)[:p.at], mid, s.chunk(q.chunk)[q.at:])
	before, after := s.list(0, p.chunk), s.list(q.chunk+1, s.chunks())
	if n := len(before); n > 0 && len(before[n-1])+len(middle) <= chunkMax { // no crumbs
		middle = slices.Concat(before[n-1], middle)
		before = before[:n-1]
	}
	list := before
	for c := range slices.Chunk(middle, chunkMax) {
		list = append(list, c)
	}
	list = append(list, after...)
	var out seq[T]
	for _, c := range list {
		out.n += len(c)
	}
	if n := len(list); n > 0 {
		out.tail, list = list[n-1], list[:n-1]
	}
	if len(list) > 0 {
		out.head, out.body = list[0], list[1:]
	}
	return out
}

// list are the chunks from i up to j that are not empty, in a new slice.
func (s seq[T]) list(i, j int) [][]T {
	list := make([][]T, 0, s.chunks()+2)
	for ; i < j; i++ {
		if c := s.chunk(i); len(c) > 0 {
			list = append(list, c)
		}
	}
	return list
}

func values[T any](in iter.Seq2[place, T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, v := range in {
			if !yield(v) {
				return
			}
		}
	}
}
