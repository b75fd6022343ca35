// Package controller is the control process: one of the three that keep a
// cluster's jobs and checkpoints in a Raft log and decide what runs where.
//
// Run assembles it from the bottom up: the bucket, the Raft node (package ha)
// with the replicated state machine (package controller/ledger), and the gRPC
// services. Every controller serves the Control API; a follower passes unary
// calls to the leader. Only the leader serves agents' sessions.
//
// The leader's work is one goroutine, the loop in leader.go, which lives as
// long as the term. It owns everything that the leader knows beyond the ledger:
// sessions, what processes report, checkpoints in flight. Nothing blocks it:
// proposals, objects and waits run beside it and hand their results back as
// steps. Decisions are taken by the pure packages coordinator and scheduler;
// this package carries them out.
//
// Where to look:
//
//	config.go, run.go         configuration; start and stop
//	api_*.go, forward.go      the Control service; passing calls to the leader
//	errors.go                 which error is which gRPC code
//	leader.go, agenda.go      the loop, its timers, proposals
//	establish.go              a leader's first moments: naming the cluster, adoption
//	session.go, workers.go    agents: sessions, registration, silence, loss
//	jobs.go, attempts.go      a job's life: placing, deploying, running, failing
//	checkpoints.go            a checkpoint's life: begin, acknowledgements, completion
//	commits.go                sink commits: confirming, finishing for jobs that run no more
//	damage.go                 a restore point that can't be read: suspended jobs, going on from an older one
//	garbage.go, sweep.go      deleting what the ledger has marked, and what ended attempts left
//
// Invariants. No decision takes effect except through the ledger: an order to
// an agent follows from an applied entry, and carries the term. Two leaders may
// run for a moment; the older one's entries are refused by Apply and its
// orders by the agents.
package controller
