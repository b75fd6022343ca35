package chaos

import (
	"os"
	"syscall"
	"testing"
)

// diskBytes is room for a Raft log of some minutes and little else.
const diskBytes = "size=2m"

// smallDisk mounts a small file system for the test; false if this process may not.
func smallDisk(t *testing.T) (dir string, ok bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		return "", false
	}
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, diskBytes); err != nil {
		t.Logf("mount: %v", err)
		return "", false
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	return dir, true
}
