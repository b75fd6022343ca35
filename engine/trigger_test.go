package engine

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestABarrierCarriesItsTrigger(t *testing.T) {
	for _, want := range []Trigger{
		{ID: 1, At: time.Unix(5, 7)},
		{ID: 2, At: time.Unix(5, 7), Mode: Aligned, AlignedTimeout: 500 * time.Millisecond},
		{ID: 3, At: time.Unix(5, 7), Mode: Savepoint, Afterwards: Drain},
		{ID: 4, At: time.Unix(5, 7), Mode: Unaligned, Afterwards: Hold},
	} {
		if got := triggerOf(want.ID, want.payload()); *got != want {
			t.Errorf("got %+v, want %+v", *got, want)
		}
	}
}

func TestABarrierOfAnOlderVersionIsAligned(t *testing.T) {
	at := time.Unix(5, 7)
	got := triggerOf(9, binary.LittleEndian.AppendUint64(nil, uint64(at.UnixNano())))
	if want := (Trigger{ID: 9, At: at}); *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}
