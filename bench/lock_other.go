//go:build !unix

package bench

import (
	"errors"
	"os"
)

// lockFile locks nothing here, and says that others do: no folder is taken for a
// dead run's. Benchmarks do not run on such a system.
func lockFile(*os.File) error { return errors.ErrUnsupported }
