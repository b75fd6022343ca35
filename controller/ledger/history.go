package ledger

import "strings"

// How barriers passed, where not aligned: CheckpointStats.Mode.
const (
	ModeUnaligned   = "unaligned"
	ModeAtLeastOnce = "at_least_once"
)

// FailureClass says what kind of thing kept a checkpoint from completing.
type FailureClass string

// The classes of failures.
const (
	FailedDeclined     FailureClass = "declined"      // a process could not take it
	FailedExpired      FailureClass = "expired"       // it was not acknowledged in time
	FailedNotFinalized FailureClass = "not finalized" // its metadata or its entry failed
	FailedStore        FailureClass = "store"         // the object store was away
	FailedSubsumed     FailureClass = "subsumed"      // a newer checkpoint completed
	FailedAttemptEnded FailureClass = "attempt ended" // with the attempt or the job
)

// reasonSubsumed is the reason of a checkpoint that a newer one has overtaken.
const reasonSubsumed = "a newer checkpoint completed"

// failureBegins are the beginnings of the coordinator's reasons.
var failureBegins = []struct {
	reason string
	class  FailureClass
}{
	{"object store: ", FailedStore}, {"declined ", FailedDeclined}, {"expired ", FailedExpired},
	{"finalize: ", FailedNotFinalized}, {reasonSubsumed, FailedSubsumed},
}

// Failure is the class of a failed checkpoint's reason; empty if it has not failed. It
// is read out of the reason, so that lines of older builds have one too.
func (h *CheckpointHistory) Failure() FailureClass {
	if h.Status != CheckpointFailed {
		return ""
	}
	for _, f := range failureBegins {
		if strings.HasPrefix(h.Reason, f.reason) {
			return f.class
		}
	}
	return FailedAttemptEnded
}
