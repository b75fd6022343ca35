package admin

import (
	"fmt"
	"time"

	"github.com/cairnstream/cairn/wire"
)

// restoreLines tell how far each process has come with restoring its state.
func restoreLines(restores []*wire.RestoreView) []string {
	var lines []string
	for _, r := range restores {
		if r.TotalBytes == 0 {
			lines = append(lines, fmt.Sprintf("restoring on %s", r.Worker))
			continue
		}
		line := fmt.Sprintf("restoring on %s: %s of %s (%.0f%%), %s from local disk and %s from the store",
			r.Worker, bytesText(r.DoneBytes), bytesText(r.TotalBytes), 100*float64(r.DoneBytes)/float64(r.TotalBytes),
			bytesText(r.LocalBytes), bytesText(r.RemoteBytes))
		if r.LeftMs >= 0 {
			line += fmt.Sprintf(", %v left", leftText(r.LeftMs))
		}
		lines = append(lines, line)
	}
	return lines
}

// leftText is an estimate: nobody wants its milliseconds.
func leftText(ms int64) time.Duration {
	return (time.Duration(ms) * time.Millisecond).Round(time.Second)
}

// lagShown is the age of undurable changes from which job show speaks of them: up
// to there an upload is on its way as usual.
const lagShown = 2 * time.Second

// changelogLines tell what the processes' state takes in the object store, and
// which of them the store does not keep up with.
func changelogLines(stats []*wire.ProcessStats) []string {
	if len(stats) == 0 {
		return nil
	}
	var objects, images, imageBytes, local, remote int64
	for _, s := range stats {
		objects, images, imageBytes = objects+s.Objects, images+s.Images, imageBytes+s.ImageBytes
		local, remote = local+s.RestoredLocalBytes, remote+s.RestoredRemoteBytes
	}
	line := fmt.Sprintf("state is in %s", plural(objects, "object"))
	if images > 0 {
		line += fmt.Sprintf(", with %s of %s written in this attempt", plural(images, "base image"), bytesText(imageBytes))
	}
	if local+remote > 0 {
		line += fmt.Sprintf("; restored from %s on local disks and %s of the store", bytesText(local), bytesText(remote))
	}
	lines := []string{line}
	for _, s := range stats {
		if time.Duration(s.LagMs)*time.Millisecond < lagShown {
			continue
		}
		lines = append(lines, fmt.Sprintf("the object store is behind: process %s has %s that is not durable, the oldest since %s, %s of it on local disk only",
			s.Process, bytesText(s.LagBytes), msText(float64(s.LagMs)), bytesText(s.SpooledBytes)))
	}
	return lines
}
