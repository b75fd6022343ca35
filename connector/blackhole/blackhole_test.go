package blackhole_test

import (
	"testing"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/blackhole"
)

func TestForgets(t *testing.T) {
	w, err := blackhole.Sink[int]{}.Open(t.Context(), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]int{1}, []int64{connector.NoTime}); err != nil {
		t.Error(err)
	}
	if finish, err := w.Prepare(1); finish != nil || err != nil {
		t.Errorf("Prepare made a transaction: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
