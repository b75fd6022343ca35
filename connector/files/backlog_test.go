package files_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/files"
)

// TestBacklogOfAFile: what is in a file has waited; a replay that keeps its pace has
// no backlog, and one that was held up has one until it has caught up.
func TestBacklogOfAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := func(s *files.Source[row], splits []connector.Split) func(most int) bool {
			r, err := s.Open(t.Context(), connector.Env{}, splits[0], nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			return func(most int) bool {
				var out connector.Records[row]
				if _, err := r.Next(t.Context(), most, &out); err != nil {
					t.Fatal(err)
				}
				return r.(connector.Backlogger).Backlog()
			}
		}
		times := []int64{0, 1000, 2000, 3000, 4000, 5000}
		whole, splits := source(t, times, files.Replay{}, 1)
		whole.Replay = nil
		if read := next(whole, splits); !read(1) {
			t.Error("a file without a replay has no backlog")
		}
		paced, splits := source(t, times, files.Replay{MaxSilence: -1}, 1)
		read := next(paced, splits)
		if read(1) {
			t.Error("a replay begins with a backlog")
		}
		time.Sleep(3500 * time.Millisecond)
		if !read(1) {
			t.Error("no backlog with a row that is 2.5 s late")
		}
		if read(10) {
			t.Error("a backlog after all that is due was read")
		}
	})
}
