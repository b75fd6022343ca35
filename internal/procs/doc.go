// Package procs runs daemons as operating-system processes for those who
// break them on purpose: the demo and the chaos tests. A Process is started,
// killed and started again with the same command; it lives in a group of its own
// and ends when this process does, however that happens.
package procs
