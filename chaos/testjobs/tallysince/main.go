// Command tallysince is the next version of tally: its state has a field more.
package main

import "github.com/cairnstream/cairn/chaos/testjobs/tally/tally"

type sums struct{ N, Sum, Since int64 }

func main() {
	tally.Main(func(s *sums, n int64) tally.Line {
		s.N++
		s.Sum += n
		s.Since++
		return tally.Line{Record: n, N: s.N, Sum: s.Sum, Since: s.Since}
	})
}
