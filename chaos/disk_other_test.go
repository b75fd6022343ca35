//go:build !linux

package chaos

import "testing"

func smallDisk(*testing.T) (dir string, ok bool) { return "", false }
