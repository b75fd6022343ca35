package stream_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstream/cairn/engine/enginetest"
	"github.com/cairnstream/cairn/stream"
)

// bothSums are what summer2 has of a window, of each side.
type bothSums struct{ Left, Right int }

// summer2 adds up both sides per key and 100 ms, and tells of it when the time is over.
type summer2 struct {
	byWindow *stream.MapOf[int64, bothSums]
}

func (s *summer2) Open(set *stream.Setup) error {
	s.byWindow = stream.MapState[int64, bothSums](set, "by window")
	return nil
}

func (s *summer2) add(ctx *stream.Context[int, string], more bothSums) error {
	start := ctx.Time() / 100 * 100
	ctx.SetTimer(start+99, "end")
	return s.byWindow.Update(start, func(all *bothSums, _ bool) {
		all.Left += more.Left
		all.Right += more.Right
	})
}

func (s *summer2) ProcessFirst(ctx *stream.Context[int, string], r rec) error {
	return s.add(ctx, bothSums{Left: r.N})
}

func (s *summer2) ProcessSecond(ctx *stream.Context[int, string], r rec) error {
	return s.add(ctx, bothSums{Right: r.N})
}

func (s *summer2) OnTimer(ctx *stream.Context[int, string], t stream.Timer) error {
	start := t.At - 99
	all, _, err := s.byWindow.Get(start)
	ctx.Emit(fmt.Sprintf("%d at %d: %+v", ctx.Key(), start, all))
	s.byWindow.Delete(start)
	return err
}

// TestCoProcessExactlyOnce: state and timers are those of both inputs, and time is that
// of the one that is behind.
func TestCoProcessExactlyOnce(t *testing.T) {
	forSeeds(t, 1500, 20, func(t *testing.T, m twoModel) {
		all := map[[2]int64]bothSums{}
		for _, r := range slices.Concat(m.left...) {
			k := [2]int64{int64(r.Key), r.Time / 100 * 100}
			all[k] = bothSums{all[k].Left + r.N, all[k].Right}
		}
		for _, r := range slices.Concat(m.right...) {
			k := [2]int64{int64(r.Key), r.Time / 100 * 100}
			all[k] = bothSums{all[k].Left, all[k].Right + r.N}
		}
		var want []string
		for k, s := range all {
			want = append(want, fmt.Sprintf("%d at %d: %+v", k[0], k[1], s))
		}
		m.check(t, want, func(a, b stream.Keyed[int, rec]) stream.Stream[string] {
			return stream.CoProcess(a, b, "sum", func() stream.CoProcessor[int, rec, rec, string] { return &summer2{} }, stream.UID("sum"))
		})
	})
}

// TestBadInputsOfTwo: what is wrong with an operator of two inputs is told when the job is built.
func TestBadInputsOfTwo(t *testing.T) {
	p, other := stream.NewPipeline("one"), stream.NewPipeline("other")
	from := func(p *stream.Pipeline, uid string) stream.Keyed[string, event] {
		s := stream.From(p, uid, &enginetest.Source[event]{}, stream.UID(uid))
		return stream.KeyBy(s, func(e event) string { return e.Key })
	}
	a, b := from(p, "a"), from(other, "b")
	var late stream.Stream[event]
	pair := func(a, b event) event { return a }
	joined := stream.Join(a, b, "pair", -1, pair, stream.LateTo(&late), stream.FirstMatch())
	stream.To(joined, "out", nothingOf[event]{})
	_, err := p.Program()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`operator "pair": its inputs are streams of two jobs`,
		`operator "pair": a TTL of -1ns: use 1ms or more`,
		`pair is a join: it takes no [LateTo]`,
		`pair is a join: it takes no [FirstMatch]`,
		`operator "pair" keeps state and has no uid`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}
