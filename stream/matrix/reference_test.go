package matrix

import (
	"maps"
	"slices"
)

// mix makes a new path from one and what happens on it.
func mix(path uint64, by ...int) uint64 {
	for _, b := range by {
		path = (path ^ uint64(b+1)) * 0x9e3779b97f4a7c15
		path ^= path >> 29
	}
	return path
}

// Paths of records that a node makes.
const (
	numberPath = 1 << 40 // and the number of the input
	tickPath   = 2 << 40
	windowPath = 3 << 40
	sumPath    = 4 << 40
	splitPath  = 5 << 40
)

// evaluate computes what a node gives, by a loop over what its inputs give.
func (g *graph) evaluate(n *node) {
	n.out, n.extra = nil, nil
	first, second := g.input(n, 0), g.input(n, 1)
	switch n.kind {
	case source:
		n.out = slices.Concat(n.slices...)
	case mapped:
		for _, r := range first {
			if keeps(n.id, r) {
				n.out = append(n.out, turned(n.id, r))
			}
		}
	case split, side:
		for _, r := range first {
			if (r.N%2 == 1) == (n.kind == side) {
				n.out = append(n.out, sorted(r))
			}
		}
	case one:
		for _, r := range first {
			n.out = append(n.out, passed(n.id, r, 0))
		}
	case count:
		n.number(first, 0)
	case both:
		n.number(first, 0)
		n.number(second, 1)
	case rules:
		n.number(first, 0)
		for _, r := range second {
			n.out = append(n.out, passed(n.id, r, 1))
		}
	case ticks:
		n.tick(first)
	case window:
		n.windows(first)
	case pairs, near:
		n.join(first, second)
	case sinkNode:
		n.out = first
	}
}

// input is what comes into input i of a node. A side output is the whole of its node's input.
func (g *graph) input(n *node, i int) []rec {
	var all []rec
	for _, id := range n.in[i] {
		from := g.nodes[id].out
		if n.kind == side {
			from = g.input(g.nodes[id], 0)
		}
		all = append(all, from...)
	}
	return all
}

// keeps tells whether a map keeps a record, and turned is what it makes of it.
func keeps(id int, r rec) bool { return (r.N+id)%7 != 0 }

func turned(id int, r rec) rec {
	r.Key, r.Path = (r.Key*5+r.N+id)%keys, mix(r.Path, id)
	return r
}

// sorted is a record that has gone through a split, to either side.
func sorted(r rec) rec {
	r.Path = mix(r.Path, splitPath, r.N%2)
	return r
}

// passed is a record that a node lets through from one of its inputs.
func passed(id int, r rec, input int) rec {
	r.Path = mix(r.Path, id, r.Key, input)
	return r
}

// numbered says that a node has counted the n-th record of a key.
func numbered(key, input, n int) rec {
	return rec{Key: key, N: n, Path: numberPath + uint64(input), Free: true}
}

func (n *node) number(in []rec, input int) {
	numbers := map[int]int{}
	for _, r := range in {
		numbers[r.Key]++
		n.out = append(n.out, passed(n.id, r, input))
		n.extra = append(n.extra, numbered(r.Key, input, numbers[r.Key]))
	}
}

// ticked is the record of a timer.
func ticked(id, key int, at int64) rec {
	return rec{Key: key, N: int(at), Path: mix(tickPath, id), Time: at, Free: true}
}

func tickOf(time int64) int64 { return time/tickSize*tickSize + tickSize - 1 }

func (n *node) tick(in []rec) {
	timers := map[rec]bool{}
	for _, r := range in {
		n.out = append(n.out, passed(n.id, r, 0))
		timers[ticked(n.id, r.Key, tickOf(r.Time))] = true
	}
	n.out = slices.AppendSeq(n.out, maps.Keys(timers))
}

// windowed is the record of a window that has ended; summed says how many it had.
func windowed(id, key int, start int64) rec {
	return rec{Key: key, N: int(start), Path: mix(windowPath, id), Time: start + windowSize - 1, Free: true}
}

func summed(key int, start int64, n int) rec {
	return rec{Key: key, N: n, Path: sumPath, Time: start, Free: true}
}

func (n *node) windows(in []rec) {
	sums := map[rec]int{}
	for _, r := range in {
		sums[windowed(n.id, r.Key, r.Time/windowSize*windowSize)]++
	}
	for w, sum := range sums {
		n.out = append(n.out, w)
		n.extra = append(n.extra, summed(w.Key, int64(w.N), sum))
	}
}

// paired joins two records.
func paired(id int, a, b rec, time int64) rec {
	return rec{Key: a.Key, N: a.N*1000 + b.N, Path: mix(a.Path^b.Path>>7, id, a.N, b.N), Time: time, Free: true}
}

func pairTime(a rec) int64 { return a.Time/pairSize*pairSize + pairSize - 1 }

func (n *node) join(first, second []rec) {
	for _, a := range first {
		for _, b := range second {
			switch {
			case a.Key != b.Key || len(n.out) > sizeMax:
			case n.kind == pairs && pairTime(a) == pairTime(b):
				n.out = append(n.out, paired(n.id, a, b, pairTime(a)))
			case n.kind == near && max(a.Time-b.Time, b.Time-a.Time) <= nearBy:
				n.out = append(n.out, paired(n.id, a, b, max(a.Time, b.Time)))
			}
		}
	}
}
