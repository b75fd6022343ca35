// Command tally counts and sums 100,000 keys in a way that can be checked.
package main

import "github.com/cairnstream/cairn/chaos/testjobs/tally/tally"

type sums struct{ N, Sum int64 }

func main() {
	tally.Main(func(s *sums, n int64) tally.Line {
		s.N++
		s.Sum += n
		return tally.Line{Record: n, N: s.N, Sum: s.Sum}
	})
}
