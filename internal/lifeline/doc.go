// Package lifeline makes processes end when the one that started them does,
// however it ended.
//
// There are two means, and a careful parent uses both. A pipe: the parent keeps
// the writing end of a pipe and never writes; the child (Watch) reads from the
// other end, and an end of file means that the parent is gone. It works
// everywhere, also for a parent that was killed, but needs the child's help. The
// parent-death signal: on Linux the kernel kills the child, whatever it is
// doing. It is tied to the thread that started the child, so children are
// started by a Spawner, which keeps one thread for all of its life.
//
// Children get a process group of their own. A Ctrl-C at the terminal goes to
// the foreground group only: the parent decides when its children end and in
// which order, and KillGroup reaches what they started themselves.
package lifeline
