// Package matrix is a test: random graphs of operators run with random faults at every
// phase of a checkpoint, in every mode of barriers, and restore with another parallelism;
// what they commit must be what one loop over the same graph makes.
//
// A seed decides the graph, the data, the mode and the faults. Time is virtual, so
// a sink that is a hundred times slower than its source costs nothing, and all queues fill up.
// A failure prints the graph, the schedule and the first difference, and how to
// run it again:
//
//	go test ./stream/matrix -seed 4711          one seed
//	go test ./stream/matrix -seeds 5000         ten times as many as usual
//
// The order in which goroutines run is not the seed's: run a seed with -count 20 if it
// does not fail at once.
//
// With the usual number of seeds or more the test also counts what was struck: a phase that
// no fault met, a mode that kept nothing in flight or an edge that never
// restored with another parallelism fails it.
package matrix
