// Package demo is what `cairn demo` and `cairn dev` run: a whole cluster of
// operating-system processes on this machine, made of the running executable
// started again under hidden names.
//
// The demo submits examples/flights, kills the leader and a worker while the
// job runs, shows what happens, and at the end proves from the committed output
// that no record was lost, doubled or altered. It needs no set-up, no sources
// and no tool chain: the data is in the executable, and the executable is the
// job's artifact.
//
// What it knows of the cluster it learns as any client would: from the
// controllers' Watch streams and API, and from the trace lines that job
// processes write. The faults are real signals to real processes.
package demo
