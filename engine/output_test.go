package engine

import (
	"errors"
	"testing"
)

// onceBroken is a target that panics at its first batch, after it has taken some of it.
type onceBroken struct{ batches int }

func (o *onceBroken) process(*Batch[int]) error {
	if o.batches++; o.batches == 1 {
		panic("key")
	}
	return nil
}

func (*onceBroken) watermark(int64) error { return nil }

// TestOutputIsNotSentTwice: who recovers a panic that came out of Emit, as poison does, can not
// go on: some of the batch may have been sent on already.
func TestOutputIsNotSentTwice(t *testing.T) {
	to := &onceBroken{}
	o := &Output[int]{buf: &Batch[int]{}, rows: 1, targets: []target[int]{to}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Emit did not panic")
			}
		}()
		o.Emit(1, 0)
	}()
	o.Emit(2, 0)
	if err := o.flush(); !errors.Is(err, errSending) || to.batches != 1 {
		t.Errorf("flush: %v after %d batches, want %v after 1", err, to.batches, errSending)
	}
}
