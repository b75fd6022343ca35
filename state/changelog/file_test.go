package changelog

import (
	"testing"
	"testing/synctest"

	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

func fileBlock(name, data string) state.Block {
	b := state.Block{GroupHi: groups - 1, Format: state.FileBlock, Name: name}
	if data != "" {
		b.Data = []byte(data)
	}
	return b
}

// names lists the files of a handle and the objects that they lie in.
func names(k snapshot.Keyed) (out []string) {
	for _, s := range k.Segments {
		if s.Kind == snapshot.SegmentFile {
			out = append(out, s.Name+" in "+s.Ref.Key)
		}
	}
	return out
}

func TestFileIsUploadedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		l.Image(&picture{blocks: []state.Block{fileBlock("x/1", "one"), fileBlock("x/2", "two")}})
		synctest.Wait()
		equal(t, "known before it is used", l.HasFile("x/1"), false)
		seal(t, u, 1, cutAt(l, 0))
		u.Completed(1)
		equal(t, "known", l.HasFile("x/1"), true)

		l.Image(&picture{blocks: []state.Block{fileBlock("x/2", ""), fileBlock("x/3", "three")}})
		synctest.Wait()
		s := seal(t, u, 2, cutAt(l, 0))
		equal(t, "files", names(s.Keyed[l]), []string{"x/2 in p/1/000000000001.0", "x/3 in p/1/000000000002.0"})
		u.Completed(2)
		equal(t, "the first object is still needed", seal(t, u, 3, cutAt(l, 0)).Released, []snapshot.Run{})
		equal(t, "x/1 is not", l.HasFile("x/1"), false)

		l.Image(&picture{blocks: []state.Block{fileBlock("x/3", "")}})
		synctest.Wait()
		seal(t, u, 4, cutAt(l, 0))
		u.Completed(4)
		s = seal(t, u, 5, cutAt(l, 0))
		equal(t, "released", s.Released, []snapshot.Run{{Prefix: "p/1/", Lo: 1, Hi: 1}})
		equal(t, "files", names(s.Keyed[l]), []string{"x/3 in p/1/000000000002.0"})
		equal(t, "puts", b.puts(), 2)
	})
}

func TestFileOfAnEarlierAttemptIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSpy()
		u := setup(t, b, nil)
		l := newLog(t, u, "a")
		l.Image(&picture{blocks: []state.Block{fileBlock("x/1", "one"), fileBlock("x/2", "two")}})
		synctest.Wait()
		first := seal(t, u, 1, cutAt(l, 0))

		u2 := setup(t, b, func(c *Config) { c.Prefix = "p/2/" })
		u2.InheritSums(first.Objects, first.Sums)
		l2 := newLog(t, u2, "a")
		l2.Inherit(first.Keyed[l].Segments)
		l2.Image(&picture{blocks: []state.Block{fileBlock("x/2", "")}})
		synctest.Wait()
		s := seal(t, u2, 2, cutAt(l2, 0))
		equal(t, "files", names(s.Keyed[l2]), []string{"x/2 in p/1/000000000001.0"})
		u2.Completed(2)
		s = seal(t, u2, 3, cutAt(l2, 0))
		equal(t, "sums", s.Sums, first.Sums)
		equal(t, "released", s.Released, []snapshot.Run{})
		l2.Image(&picture{})
		synctest.Wait()
		seal(t, u2, 4, cutAt(l2, 0))
		u2.Completed(4)
		equal(t, "sums that are kept", inside(u2, func() int { return len(u2.sums) }), 0)
	})
}

func TestImageWithAFileThatIsNotThereIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := setup(t, newSpy(), nil)
		l := newLog(t, u, "a")
		l.Image(&picture{blocks: []state.Block{fileBlock("x/1", "one"), fileBlock("x/9", "")}})
		synctest.Wait()
		s := seal(t, u, 1, cutAt(l, 0))
		equal(t, "files", names(s.Keyed[l]), []string{})
		equal(t, "memory", inside(u, func() int64 { return u.imageBytes }), 0)
	})
}

// segmentOf is a segment of changes in an object that is not there.
func segmentOf(key string) []snapshot.Segment {
	s := snapshot.Segment{To: 1, GroupHi: groups - 1}
	s.Ref.Key, s.Ref.Length = key, 1
	return []snapshot.Segment{s}
}
