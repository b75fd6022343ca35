package generator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/generator"
)

// TestBacklogIsBeingBehindTheRate: after a pause there is one until all that is due
// has been given; without a rate there is none.
func TestBacklogIsBeingBehindTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			rate float64
			want []bool // after each read of 10 records, the first after a pause
		}{
			{rate: 200, want: []bool{true, true, false}},
			{rate: 0, want: []bool{false, false, false}},
		} {
			s := &generator.Source[event]{Make: makeEvent, Rate: c.rate}
			splits, err := s.Splits(t.Context(), connector.Env{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.Open(t.Context(), connector.Env{}, splits[0], nil)
			if err != nil {
				t.Fatal(err)
			}
			var out connector.Records[event]
			if _, err := r.Next(t.Context(), 1, &out); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			for i, want := range c.want {
				if _, err := r.Next(t.Context(), 10, &out); err != nil {
					t.Fatal(err)
				}
				if got := r.(connector.Backlogger).Backlog(); got != want {
					t.Errorf("rate %v, read %d: backlog %v, want %v", c.rate, i, got, want)
				}
			}
		}
	})
}
