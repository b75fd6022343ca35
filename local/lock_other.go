//go:build !unix

package local

import (
	"errors"
	"os"
)

// lockFile refuses: Cairn runs on Linux and macOS.
func lockFile(*os.File) error { return errors.ErrUnsupported }
