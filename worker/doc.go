// Package worker is the agent on a machine: it keeps a session with the leader,
// fetches job artifacts by hash, and supervises one task process per job.
//
// Where to look:
//
//	config.go, run.go        configuration; start and stop
//	machine.go, terms.go     what outlives an incarnation; the highest term
//	datadir.go, sockets.go   what the agent keeps on disk
//	session.go, dial.go      the session with the leader, and finding it
//	agent.go                 one incarnation: which order goes where, what is remembered
//	reports.go               what a new leader must hear: the cache behind Hello
//	job.go                   one job here: a goroutine that owns its process
//	program.go, child.go     what to run; a task process, from its start to its last words
//	artifact.go              executables by SHA-256
//	plan.go, joblog.go       answers to Plan and Logs orders; a process's output
//	metrics.go               /metrics and /debug/pprof
//
// The agent decides nothing. It does what the leader orders and tells what
// happens. Without a leader everything here runs on; what a leader must know
// (the status of each process, what it holds unconfirmed) is kept in reports and
// goes into the Hello of the next session, so a broken session loses nothing.
//
// When Raft has ended an incarnation, the agent ends everything that it began
// and goes on as another incarnation, with nothing of the old one.
//
// Invariants. Orders with a term lower than the highest seen are refused. The
// highest term is kept in memory only: it fences within one start of the
// agent, and placements name incarnations, so what an old leader ordered for
// an earlier start of this agent is refused whatever its term. A job's attempts
// here only grow, and an attempt that ended never starts again. The agent and
// its task processes live and die together.
//
// docs/design/0004-worker.md tells why, and what each crash leaves.
package worker
