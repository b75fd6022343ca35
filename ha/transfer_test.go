package ha

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// TestStuckTransfer is raft#696: only refusals in a row, over three election
// timeouts, end the node.
func TestStuckTransfer(t *testing.T) {
	refused := raft.ErrLeadershipTransferInProgress
	const ms = time.Millisecond
	type write struct {
		after time.Duration
		err   error
	}
	for _, test := range []struct {
		name   string
		writes []write
		stuck  bool
	}{
		{"an ordinary transfer", []write{{0, refused}, {190 * ms, refused}, {20 * ms, raft.ErrNotLeader}}, false},
		{"stuck", []write{{0, refused}, {300 * ms, refused}, {301 * ms, refused}}, true},
		{"two transfers", []write{{0, refused}, {500 * ms, nil}, {500 * ms, refused}}, false},
		{"two transfers, nothing between", []write{{0, refused}, {time.Hour, refused}, {ms, refused}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stuck := false
				s := stuckTransfer{limit: 600 * ms, fail: func(error) { stuck = true }}
				for _, w := range test.writes {
					time.Sleep(w.after)
					s.observe(w.err)
				}
				if stuck != test.stuck {
					t.Errorf("stuck is %v, want %v", stuck, test.stuck)
				}
			})
		})
	}
}
