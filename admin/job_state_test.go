package admin

import (
	"slices"
	"testing"

	"github.com/cairnstream/cairn/wire"
)

func checkLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestDamageIsTold(t *testing.T) {
	d := &wire.Damage{
		Objects:     []*wire.DamagedObject{{Key: "c/jobs/j/2/p/000000000007.0", Checkpoints: []uint64{42, 43}}},
		NewestWhole: 41,
		Published:   []*wire.PublishedSink{{Uid: "out", UpTo: 43}, {Uid: "log"}},
	}
	again := "to try again when the object is back: cairn job restart j-1; to give up: cairn job cancel j-1"
	checkLines(t, damageLines("j-1", d),
		"damaged: c/jobs/j/2/p/000000000007.0, needed by checkpoints 42 and 43",
		"checkpoint 41 is the newest that needs none of it; to go on from there: cairn job restart j-1 --from-checkpoint 41",
		"  sink out would publish once more what came after checkpoint 41, up to checkpoint 43",
		"  sink log would publish once more what came after checkpoint 41, up to the failure",
		again)
	d.Objects[0].Checkpoints, d.NewestWhole, d.Published = []uint64{41, 42, 43}, 0, nil
	checkLines(t, damageLines("j-1", d),
		"damaged: c/jobs/j/2/p/000000000007.0, needed by checkpoints 41, 42 and 43",
		"no retained checkpoint can do without it", again)
	checkLines(t, damageLines("j-1", nil))
}

func TestRestoresAreTold(t *testing.T) {
	checkLines(t, restoreLines([]*wire.RestoreView{
		{Worker: "w1", DoneBytes: 3 << 20, TotalBytes: 12 << 20, LocalBytes: 2 << 20, RemoteBytes: 1 << 20, LeftMs: 9400},
		{Worker: "w2", DoneBytes: 0, TotalBytes: 12 << 20, LeftMs: -1},
		{Worker: "w3"},
	}),
		"restoring on w1: 3.0 MiB of 12.0 MiB (25%), 2.0 MiB from local disk and 1.0 MiB from the store, 9s left",
		"restoring on w2: 0 B of 12.0 MiB (0%), 0 B from local disk and 0 B from the store",
		"restoring on w3")
}

func TestChangelogIsTold(t *testing.T) {
	checkLines(t, changelogLines([]*wire.ProcessStats{
		{Process: "p1", Objects: 3, Images: 1, ImageBytes: 1 << 20, RestoredLocalBytes: 5 << 20},
		{Process: "p2", Objects: 4, LagBytes: 6 << 20, LagMs: 21_000, SpooledBytes: 2 << 20},
	}),
		"state is in 7 objects, with 1 base image of 1.0 MiB written in this attempt; restored from 5.0 MiB on local disks and 0 B of the store",
		"the object store is behind: process p2 has 6.0 MiB that is not durable, the oldest since 21.0 s, 2.0 MiB of it on local disk only")
	checkLines(t, changelogLines(nil))
}
