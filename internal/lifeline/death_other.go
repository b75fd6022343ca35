//go:build unix && !linux

package lifeline

import "os/exec"

// dieWithParent: only Linux has a parent-death signal; elsewhere children watch
// a line or a socket.
func dieWithParent(*exec.Cmd) {}
