package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/objectstore"
	"github.com/cairnstream/cairn/wire"
)

// Classes of errors that this package makes itself. Callers wrap them with what
// was given, what is wrong and what to do.
var (
	// errInvalid is returned when a request can never be right as it is.
	errInvalid = errors.New("invalid request")
	// errNotFound is returned when a request names what does not exist.
	errNotFound = errors.New("not found")
	// errForeign is returned to an agent of another cluster, for which only
	// another data directory or other controllers help.
	errForeign = errors.New("agent of another cluster")
	// errPrecondition is returned when something must change before the
	// request can be right, and a retry alone does not change it.
	errPrecondition = errors.New("not possible now")
	// errStoreAway is returned when the object store did not take what the leader
	// wrote: the checkpoint fails, and nothing else.
	errStoreAway = errors.New("object store")
	// errNotReady is returned when a retry helps.
	errNotReady = errors.New("retry")
	// errNoLeader is returned when no controller leads, as far as this one knows.
	errNoLeader = errors.New("no leader yet, retry")
	// errDismissed ends the session of an agent that is to come back as
	// another incarnation.
	errDismissed = errors.New("come back as another incarnation")
	// errLeaderGone is the cause with which a term's end cuts what hangs off it.
	errLeaderGone = errors.New("this controller no longer leads, retry")
)

// errorCodes says which error is which gRPC code: the first that matches. An
// error that has a code already, from a leader we passed the call to, keeps it.
var errorCodes = []struct {
	err  error
	code codes.Code
}{
	{errInvalid, codes.InvalidArgument},
	{errNotFound, codes.NotFound},
	{errForeign, codes.PermissionDenied},
	{ledger.ErrNoJob, codes.NotFound},
	{ledger.ErrNoCheckpoint, codes.NotFound},
	{ledger.ErrNoSavepoint, codes.NotFound},
	{objectstore.ErrNotFound, codes.NotFound},
	{ledger.ErrJobExists, codes.AlreadyExists},
	{errPrecondition, codes.FailedPrecondition},
	{ledger.ErrEndedIncarnation, codes.FailedPrecondition},
	{ledger.ErrJobEnded, codes.FailedPrecondition},
	{ledger.ErrTooManyPending, codes.FailedPrecondition},
	{ledger.ErrInvalid, codes.InvalidArgument},
	{ledger.ErrNotRunning, codes.FailedPrecondition},
	{ledger.ErrCheckpointNeeded, codes.FailedPrecondition},
	{ledger.ErrNotSuspended, codes.FailedPrecondition},
	{ledger.ErrNotEnded, codes.FailedPrecondition},
	{ledger.ErrSavepointBusy, codes.FailedPrecondition},
	{ledger.ErrUpgrading, codes.FailedPrecondition},
	{ledger.ErrStopping, codes.FailedPrecondition},
	{ledger.ErrTooManySavepoints, codes.ResourceExhausted},
	{ledger.ErrDamaged, codes.FailedPrecondition},
	{ledger.ErrStaleAttempt, codes.Aborted},
	{errNoLeader, codes.Unavailable},
	{errLeaderGone, codes.Unavailable},
	{errNotReady, codes.Unavailable},
	{ledger.ErrStaleTerm, codes.Unavailable},
	{ha.ErrNotLeader, codes.Unavailable},
	{ha.ErrUnknown, codes.Unavailable},
	{ha.ErrTermOver, codes.Unavailable},
	{context.Canceled, codes.Canceled},
	{context.DeadlineExceeded, codes.DeadlineExceeded},
}

// statusOf gives err the gRPC code of its class. The name of the class that says
// no more than its code is left out of the text.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	for _, c := range errorCodes {
		if errors.Is(err, c.err) {
			return status.Error(c.code, strings.TrimSuffix(err.Error(), ": "+errInvalid.Error()))
		}
	}
	return status.Error(codes.Internal, err.Error())
}

// hintLeader is the refusal of an agent's session by a controller that does not
// lead: it names the leader, if one is known.
func hintLeader(leader Peer) error {
	s := status.New(codes.Unavailable, errNoLeader.Error())
	if leader.ID == "" {
		return s.Err()
	}
	s = status.New(codes.Unavailable, fmt.Sprintf("controller %s leads, at %s", leader.ID, leader.API))
	hinted, err := s.WithDetails(protoadapt.MessageV1Of(&wire.LeaderHint{Id: leader.ID, ApiAddress: leader.API}))
	if err != nil { // a detail that does not marshal costs only the hint
		return s.Err()
	}
	return hinted.Err()
}

// endOfSession is statusOf for the end of an agent's session: it tells an agent
// that is dismissed to come back as another incarnation.
func endOfSession(err error) error {
	if !errors.Is(err, errDismissed) {
		return statusOf(err)
	}
	s := status.New(codes.FailedPrecondition, err.Error())
	detailed, detailErr := s.WithDetails(protoadapt.MessageV1Of(&wire.IncarnationEnded{}))
	if detailErr != nil { // an empty message marshals
		return errors.Join(s.Err(), detailErr)
	}
	return detailed.Err()
}

func noJob(id dataflow.JobID) error {
	return fmt.Errorf("job %q: %w; `cairn job list` names them all", id, ledger.ErrNoJob)
}
