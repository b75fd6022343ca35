package controller

import (
	"testing"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
)

func TestTheHistorySaysHowBarriersPassed(t *testing.T) {
	for _, k := range []struct {
		options dataflow.CheckpointOptions
		want    string
	}{
		{dataflow.CheckpointOptions{}, ""},
		{dataflow.CheckpointOptions{Unaligned: "on"}, ledger.ModeUnaligned},
		{dataflow.CheckpointOptions{Mode: dataflow.AtLeastOnce}, ledger.ModeAtLeastOnce},
	} {
		if got := modeOf(k.options); got != k.want {
			t.Errorf("%+v: %q, want %q", k.options, got, k.want)
		}
	}
	if s := statsOf([]snapshot.Process{{InFlightBytes: 3}, {InFlightBytes: 4}}); s.InFlightBytes != 7 {
		t.Errorf("%d bytes in flight, want 7", s.InFlightBytes)
	}
}
