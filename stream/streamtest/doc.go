// Package streamtest tests a job in one process, its code unchanged: inputs in the place of
// its sources, outputs in the place of its sinks, and a clock that only the test moves.
//
//	func TestWords(t *testing.T) {
//		job := streamtest.New(t, Words)
//		lines := streamtest.Input[string](job, "lines") // by the source's UID
//		out := streamtest.Output[Count](job, "out")     // by the sink's UID
//
//		lines.Add("to be", "or not")
//		out.WantInAnyOrder(Count{"to", 1}, Count{"be", 1}, Count{"or", 1}, Count{"not", 1})
//		job.Restart()
//		lines.Add("to")
//		out.Want(Count{"to", 2})
//		job.Finish()
//		out.Want()
//	}
//
// Each call is a step: when it returns, the job has done everything that there is to do, all
// goroutines of it wait, and what came out is in the outputs. So a test neither sleeps nor
// polls. Processing time is virtual: it begins at midnight of 1 January 2000, UTC, stands
// still during a step and moves by Advance alone; Now tells it. Timers, timeouts and idleness
// follow it, and so do time.Now and time.Sleep in the job's own code.
//
// A job's state is all in its state if it does the same when it is restarted in between.
// Restart does that once; the option RestartEverywhere does it after every step, and
// EveryWay runs a test so, with several subtasks, and with their number changing:
//
//	func TestWords(t *testing.T) {
//		streamtest.EveryWay(t, func(t *testing.T, way streamtest.Option) {
//			job := streamtest.New(t, Words, way)
//			…
//		})
//	}
//
// The job runs on the memory backend, in a bubble of testing/synctest. What it waits for must
// happen in that bubble: code that waits for a network or a device never comes to rest, and a
// step of it fails after a minute. A job's functions are called as in production, many at
// once if there are several subtasks, and are built anew for each attempt.
package streamtest
