package ledger

import (
	"errors"

	"github.com/cairnstream/cairn/dataflow"
)

// ErrUpgrading is the refusal of a second upgrade beside one that is not over.
var ErrUpgrading = errors.New("job is being upgraded")

// UpgradeStatus is where an upgrade is.
//
//	saving -> trying -> done
//	   |         \----> rolled back
//	   \-> failed
type UpgradeStatus string

// The statuses of an upgrade.
const (
	UpgradeSaving     UpgradeStatus = "saving"      // its savepoint is to be taken; the old program runs
	UpgradeTrying     UpgradeStatus = "trying"      // the new program has to complete a checkpoint
	UpgradeDone       UpgradeStatus = "done"        // it has
	UpgradeRolledBack UpgradeStatus = "rolled back" // the old program is back, Reason says why
	UpgradeFailed     UpgradeStatus = "failed"      // nothing has changed, Reason says why
)

// upgradeFailuresMax is how many attempts of a new program may fail before the old one is put
// back without waiting any longer: one may be a machine's fault, and three in a row within a
// minute are the program's.
const upgradeFailuresMax = 3

// Program is what a job runs.
type Program struct {
	Artifact    string           `cbor:"1,keyasint"` // SHA-256
	Args        []string         `cbor:"2,keyasint,omitempty"`
	Graph       []byte           `cbor:"3,keyasint"` // dataflow.Graph as JSON
	Options     dataflow.Options `cbor:"4,keyasint"`
	Platform    string           `cbor:"5,keyasint"`
	Parallelism int              `cbor:"6,keyasint,omitempty"`
}

// Upgrade is a job's newest upgrade.
type Upgrade struct {
	Status UpgradeStatus `cbor:"1,keyasint"`
	// Key tells upgrades apart: the savepoint is asked for under it, by whichever leader.
	Key string `cbor:"2,keyasint"`
	// Savepoint is what the new program restores; 0 until it has begun.
	Savepoint dataflow.CheckpointID `cbor:"3,keyasint,omitempty"`
	// Other is the program that is not in the job: the new one before the swap, the old one
	// after it, and none once the upgrade is over.
	Other            *Program `cbor:"4,keyasint,omitempty"`
	HealthyWithin    int64    `cbor:"5,keyasint"` // milliseconds
	AllowNonRestored bool     `cbor:"6,keyasint,omitempty"`
	// Swapped is the last attempt of the old program, and HealthyBy when the new one must be
	// healthy, in Unix milliseconds.
	Swapped   dataflow.Attempt `cbor:"7,keyasint,omitempty"`
	HealthyBy int64            `cbor:"8,keyasint,omitempty"`
	Failures  int              `cbor:"9,keyasint,omitempty"` // attempts of the new program
	Reason    string           `cbor:"10,keyasint,omitempty"`
	BegunAt   int64            `cbor:"11,keyasint"` // Unix milliseconds
	EndedAt   int64            `cbor:"12,keyasint,omitempty"`
	From      string           `cbor:"13,keyasint"` // artifact of the old program
	To        string           `cbor:"14,keyasint"` // and of the new one
}

// Over tells whether nothing of it is left to do.
func (u *Upgrade) Over() bool { return u.Status != UpgradeSaving && u.Status != UpgradeTrying }

// upgrading is the job's upgrade if it is not over, or nil.
func (j *Job) upgrading() *Upgrade {
	if j.Upgrade == nil || j.Upgrade.Over() {
		return nil
	}
	return j.Upgrade
}

// program is what the job runs.
func (j *Job) program() *Program {
	return &Program{Artifact: j.Artifact, Args: j.Args, Graph: j.Graph, Options: j.Options, Platform: j.Platform, Parallelism: j.Parallelism}
}

// install makes p what the job runs.
func (j *Job) install(p *Program) {
	j.Artifact, j.Args, j.Graph, j.Options, j.Platform, j.Parallelism = p.Artifact, p.Args, p.Graph, p.Options, p.Platform, p.Parallelism
}

// DropsState tells whether a restore of the checkpoint may drop state that the program has no
// place for: the job was upgraded at it, with that allowed.
func (j *Job) DropsState(restore dataflow.CheckpointID) bool {
	u := j.Upgrade
	return u != nil && u.AllowNonRestored && u.Savepoint == restore && (u.Status == UpgradeTrying || u.Status == UpgradeDone)
}
