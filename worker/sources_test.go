package worker

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/cairnstream/cairn/wire"
)

// TestSourceTimesPass: the agent carries the news of aligned sources both ways.
func TestSourceTimesPass(t *testing.T) {
	w := setup(t)
	s := w.leader.accept(t, 1, w.store)
	runJob(w, s, 1, "good")
	news := &wire.SourceTimes{Job: jobID, Attempt: 1, Times: []*wire.SourceTime{{Group: "shop", LowestMs: 7, Subtasks: 1, Of: 2}}}
	s.send(&wire.LeaderMessage{Body: &wire.LeaderMessage_SourceTimes{SourceTimes: news}})
	got := s.await("source times", func(m *wire.AgentMessage) bool { return m.GetSourceTimes() != nil }).GetSourceTimes()
	if !proto.Equal(got, news) {
		t.Errorf("the process heard and said %v, want %v", got, news)
	}
}
