package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/cairnstream/cairn/dataflow"
)

// ErrUnknownCommand stops a node: the command is of a type or version that this
// build does not know, and skipping it would make replicas differ (I8).
var ErrUnknownCommand = errors.New("unknown command")

// kind is a command's number in the log. Numbers are never used again.
type kind uint16

// The kinds.
const (
	kindLeaderEstablished kind = iota + 1
	kindAnnounceController
	kindRegisterWorker
	kindEndWorker
	kindSubmitJob
	kindStartAttempt
	kindFailAttempt
	kindAttemptRunning
	kindBeginCheckpoint
	kindCompleteCheckpoint
	kindAbortCheckpoint
	kindConfirmCommits
	kindFinishJob
	kindCancelJob
	kindDeleteCheckpoint
	kindForgetGarbage
	kindSuspendJob
	kindResumeJob

	kindSetOptions       kind = 19
	kindPinCheckpoint    kind = 20
	kindBeginSavepoint   kind = 21
	kindFinishSavepoint  kind = 22
	kindDisposeSavepoint kind = 23
	kindBeginUpgrade     kind = 24
	kindEndUpgrade       kind = 25
	kindReleaseOrigin    kind = 26
)

// prefixLen is the length of what stands before a command's CBOR: two bytes kind,
// big endian, and one byte version.
const prefixLen = 3

var (
	encMode = must(encOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxArrayElements:  1 << 24, // runs of objects, placements
		// Reasons and arguments come from outside. Text that is not UTF-8 must
		// not be able to stop a node.
		UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode())
)

func encOptions() cbor.EncOptions {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty // nil and empty are equal
	return o
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // options that contradict each other: a mistake in this file
	}
	return v
}

// VersionOf is the version in which a command is written: the oldest that can say
// it, so that members of an older build can be led as long as nothing new is
// asked of them (I8).
func VersionOf(c Command) int {
	switch c := c.(type) {
	case *BeginSavepoint, *FinishSavepoint, *DisposeSavepoint, *SetOptions, *ReleaseOrigin, *PinCheckpoint, *BeginUpgrade, *EndUpgrade:
		return 3
	case *BeginCheckpoint:
		if len(c.Triggers) > 0 {
			return 3
		}
	case *CompleteCheckpoint:
		if c.Stats.Mode != "" || c.Stats.InFlightBytes != 0 {
			return 3
		}
	case *SuspendJob, *ResumeJob:
		return 2
	case *SubmitJob:
		if c.Origin != nil || c.Options.Checkpoint != (dataflow.CheckpointOptions{}) {
			return 3
		}
		if c.Options.State != (dataflow.StateOptions{}) {
			return 2
		}
	}
	return 1
}

// Encode returns a command as it stands in the log.
func Encode(c Command) []byte {
	body, err := encMode.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", c, err)) // plain data always encodes
	}
	out := make([]byte, prefixLen, prefixLen+len(body))
	binary.BigEndian.PutUint16(out, uint16(kindOf(c)))
	out[2] = byte(VersionOf(c))
	return append(out, body...)
}

// Decode reads a command. It fails with ErrUnknownCommand for a kind or version
// of another build, and for content that this build would not have written.
func Decode(data []byte) (Command, error) {
	if len(data) < prefixLen {
		return nil, fmt.Errorf("%w: %d bytes", ErrUnknownCommand, len(data))
	}
	k, version := kind(binary.BigEndian.Uint16(data)), data[2]
	c := newCommand(k)
	if c == nil || version < 1 || version > Version {
		return nil, fmt.Errorf("%w: kind %d version %d", ErrUnknownCommand, k, version)
	}
	if err := decMode.Unmarshal(data[prefixLen:], c); err != nil {
		return nil, fmt.Errorf("decode %T: %w", c, err)
	}
	return c, nil
}

func newCommand(k kind) Command {
	if int(k) >= len(prototypes) || prototypes[k] == nil {
		return nil
	}
	return prototypes[k]()
}

// prototypes make an empty command of each kind.
var prototypes = [...]func() Command{
	kindLeaderEstablished:  func() Command { return new(LeaderEstablished) },
	kindAnnounceController: func() Command { return new(AnnounceController) },
	kindRegisterWorker:     func() Command { return new(RegisterWorker) },
	kindEndWorker:          func() Command { return new(EndWorker) },
	kindSubmitJob:          func() Command { return new(SubmitJob) },
	kindStartAttempt:       func() Command { return new(StartAttempt) },
	kindFailAttempt:        func() Command { return new(FailAttempt) },
	kindAttemptRunning:     func() Command { return new(AttemptRunning) },
	kindBeginCheckpoint:    func() Command { return new(BeginCheckpoint) },
	kindCompleteCheckpoint: func() Command { return new(CompleteCheckpoint) },
	kindAbortCheckpoint:    func() Command { return new(AbortCheckpoint) },
	kindConfirmCommits:     func() Command { return new(ConfirmCommits) },
	kindFinishJob:          func() Command { return new(FinishJob) },
	kindCancelJob:          func() Command { return new(CancelJob) },
	kindDeleteCheckpoint:   func() Command { return new(DeleteCheckpoint) },
	kindForgetGarbage:      func() Command { return new(ForgetGarbage) },
	kindSuspendJob:         func() Command { return new(SuspendJob) },
	kindResumeJob:          func() Command { return new(ResumeJob) },
	kindSetOptions:         func() Command { return new(SetOptions) },
	kindPinCheckpoint:      func() Command { return new(PinCheckpoint) },
	kindBeginSavepoint:     func() Command { return new(BeginSavepoint) },
	kindFinishSavepoint:    func() Command { return new(FinishSavepoint) },
	kindDisposeSavepoint:   func() Command { return new(DisposeSavepoint) },
	kindBeginUpgrade:       func() Command { return new(BeginUpgrade) },
	kindEndUpgrade:         func() Command { return new(EndUpgrade) },
	kindReleaseOrigin:      func() Command { return new(ReleaseOrigin) },
}

func (c *LeaderEstablished) header() *Header  { return &c.Header }
func (c *AnnounceController) header() *Header { return &c.Header }
func (c *RegisterWorker) header() *Header     { return &c.Header }
func (c *EndWorker) header() *Header          { return &c.Header }
func (c *SubmitJob) header() *Header          { return &c.Header }
func (c *StartAttempt) header() *Header       { return &c.Header }
func (c *FailAttempt) header() *Header        { return &c.Header }
func (c *AttemptRunning) header() *Header     { return &c.Header }
func (c *BeginCheckpoint) header() *Header    { return &c.Header }
func (c *CompleteCheckpoint) header() *Header { return &c.Header }
func (c *AbortCheckpoint) header() *Header    { return &c.Header }
func (c *ConfirmCommits) header() *Header     { return &c.Header }
func (c *FinishJob) header() *Header          { return &c.Header }
func (c *CancelJob) header() *Header          { return &c.Header }
func (c *DeleteCheckpoint) header() *Header   { return &c.Header }
func (c *ForgetGarbage) header() *Header      { return &c.Header }
func (c *SuspendJob) header() *Header         { return &c.Header }
func (c *ResumeJob) header() *Header          { return &c.Header }

func kindOf(c Command) kind {
	switch c.(type) {
	case *LeaderEstablished:
		return kindLeaderEstablished
	case *AnnounceController:
		return kindAnnounceController
	case *RegisterWorker:
		return kindRegisterWorker
	case *EndWorker:
		return kindEndWorker
	case *SubmitJob:
		return kindSubmitJob
	case *StartAttempt:
		return kindStartAttempt
	case *FailAttempt:
		return kindFailAttempt
	case *AttemptRunning:
		return kindAttemptRunning
	case *BeginCheckpoint:
		return kindBeginCheckpoint
	case *CompleteCheckpoint:
		return kindCompleteCheckpoint
	case *AbortCheckpoint:
		return kindAbortCheckpoint
	case *ConfirmCommits:
		return kindConfirmCommits
	case *FinishJob:
		return kindFinishJob
	case *CancelJob:
		return kindCancelJob
	case *DeleteCheckpoint:
		return kindDeleteCheckpoint
	case *ForgetGarbage:
		return kindForgetGarbage
	case *SuspendJob:
		return kindSuspendJob
	case *ResumeJob:
		return kindResumeJob
	case *SetOptions:
		return kindSetOptions
	case *PinCheckpoint:
		return kindPinCheckpoint
	case *BeginSavepoint:
		return kindBeginSavepoint
	case *FinishSavepoint:
		return kindFinishSavepoint
	case *DisposeSavepoint:
		return kindDisposeSavepoint
	case *BeginUpgrade:
		return kindBeginUpgrade
	case *EndUpgrade:
		return kindEndUpgrade
	case *ReleaseOrigin:
		return kindReleaseOrigin
	}
	panic(fmt.Sprintf("ledger: %T is no command", c)) // header is unexported: only those above
}
