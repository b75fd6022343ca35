// Package stream is what a job's author imports: typed streams, keyed state,
// timers and windows, and Main, which runs the result.
//
// A job is a function that builds a graph on a Pipeline:
//
//	func main() { stream.Main("words", Words) }
//
//	func Words(p *stream.Pipeline) {
//		lines := stream.From(p, "lines", files.Lines("/var/log/syslog"), stream.UID("lines"))
//		words := stream.FlatMap(lines, "split", func(l string, emit func(string)) {
//			for _, w := range strings.Fields(l) {
//				emit(w)
//			}
//		})
//		byWord := stream.KeyBy(words, func(w string) string { return w })
//		counts := stream.Process(byWord, "count", func() stream.Processor[string, string, Count] { return &counter{} }, stream.UID("count"))
//		stream.To(counts, "out", print.Sink[Count](), stream.UID("out"))
//	}
//
// The function must build the same graph on every machine: it depends on its
// arguments only. Operators are functions and not methods, because methods of
// Go have no type parameters of their own.
//
// Event time comes from a source (Timestamps, unless it gives it itself), with a watermark
// (BoundedOutOfOrderness or Monotonic): without one nothing ends before all input has.
// What ends or waits by it has an operator. Windows are Tumbling, Sliding, Session or Global;
// On and AllowedLateness say when else than at its end a window gives results. Deduplicate and
// TopN keep the first and the best. Two streams meet by key, and what the join is to know
// decides which one it is:
//
//	Join           all pairs, for as long as a TTL remembers, or for ever
//	IntervalJoin   pairs whose event times are near each other
//	WindowJoin     pairs in the same window
//	TemporalJoin   each record and the version of its key as of its event time
//	CoProcess      code of your own, with state and timers of both
//	WithBroadcast  the same, of which the second stream goes to all subtasks
//
// Anything else is a Processor. Its state is ValueState, MapState, ListState, ReducingState and
// AggregatingState, with a TTL if it shall expire; what belongs to no key is SplitList, UnionList
// and BroadcastState. Types of state may change from one version of a job to the next: see
// ValueState. Timers are of event time or of processing time: see Context.
//
// An error or a panic of a job's code ends the attempt and names the operator and the key;
// PoisonTo sets the record aside instead. OpenSide and SideTo give an operator further
// outputs. Async asks services without waiting for each answer.
//
// Whatever keeps something across records (a source its position, windows, joins and
// processors their state, a transactional sink its transactions) needs a UID: what a
// checkpoint holds is found by it, also by the next version of the job. Functions
// given to operators run on the subtasks' goroutines, many at once: what they
// share must be safe for that. A record must not be changed once it is emitted.
//
// A job is tested with package streamtest: unchanged, in one process, on a virtual clock, with
// restarts. docs/writing-jobs.md leads from nothing to a tested job.
package stream
