// Package build tells which build of Cairn is running.
package build

import (
	"runtime/debug"
	"sync"
)

// Version is the module's version, with the revision if the build recorded
// one; "devel" for a build from a working tree.
var Version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && version == "devel" {
			version += "-" + s.Value[:12]
		}
	}
	return version
})
