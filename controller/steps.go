package controller

// A step is a point at which a leader may die and leave work half done: an entry is
// committed, an order is sent, an object is written. Tests end terms there.

// The steps of savepoints, in their order.
const (
	StepSavepointBegun      = "savepoint: begun"                // its checkpoint is pending in Raft
	StepSavepointTriggered  = "savepoint: triggered"            // the processes are told
	StepSavepointMetadata   = "savepoint: metadata written"     // the checkpoint's metadata object is in the bucket
	StepSavepointComplete   = "savepoint: checkpoint complete"  // the commit point; a stopped job is ending
	StepSavepointOutcome    = "savepoint: outcome sent"         // the processes know it
	StepSavepointOrdered    = "savepoint: writing ordered"      // a worker writes the folder
	StepSavepointFolder     = "savepoint: folder written"       // and says so
	StepSavepointFinished   = "savepoint: finished"             // Raft has its location
	StepSavepointFailed     = "savepoint: checkpoint aborted"   // there will be none, and the processes do not know
	StepSavepointDisposing  = "savepoint: disposing"            // Raft says that its folder goes
	StepSavepointFolderGone = "savepoint: folder deleted"       // the store has it no more
	StepSavepointGone       = "savepoint: gone"                 // Raft has forgotten it
	StepStopCommitsOrdered  = "stop: finishing commits ordered" // of a job that a savepoint cancelled
	StepStopCommitsDone     = "stop: commits confirmed"         // the job has ended
)

// The steps of a deletion, in their order.
const (
	StepDeleteDropped   = "delete: record dropped"  // by Raft, which has marked what nothing else needs
	StepDeleteObjects   = "delete: objects deleted" // from the store
	StepDeleteForgotten = "delete: marks forgotten" // by Raft
	StepDeleteGarbage   = "delete: garbage deleted" // that a person had collected, which Raft is not told of
	StepPinned          = "pin: held or let go"     // by Raft
)

// The steps of a start from elsewhere, in their order.
const (
	StepOriginSubmitted = "origin: submitted" // the job and the hold on what it starts from are in Raft
	StepOriginDeployed  = "origin: deployed"  // its processes are told what to restore
	StepOriginReleased  = "origin: released"  // Raft says that nothing of a claimed origin is needed any more
	StepOriginDeleted   = "origin: deleted"   // what was claimed is gone, or on its way out
	StepOriginForgotten = "origin: forgotten" // by Raft
)

// The steps of upgrades. Those of the savepoint come between the first two.
const (
	StepUpgradeBegun      = "upgrade: begun"           // Raft has the new program beside the old one
	StepUpgradeSwapped    = "upgrade: swapped"         // the savepoint is complete, the new program is the job's
	StepUpgradeHealthy    = "upgrade: healthy"         // the new program has completed a checkpoint
	StepUpgradeRolledBack = "upgrade: rolled back"     // the old program is the job's again
	StepUpgradeFailed     = "upgrade: nothing changed" // its savepoint was not taken
)

// Steps are all steps, so that a test can try each.
var Steps = []string{
	StepSavepointBegun, StepSavepointTriggered, StepSavepointMetadata, StepSavepointComplete, StepSavepointOutcome,
	StepSavepointOrdered, StepSavepointFolder, StepSavepointFinished, StepSavepointFailed,
	StepSavepointDisposing, StepSavepointFolderGone, StepSavepointGone,
	StepStopCommitsOrdered, StepStopCommitsDone,
	StepOriginSubmitted, StepOriginDeployed, StepOriginReleased, StepOriginDeleted, StepOriginForgotten,
	StepDeleteDropped, StepDeleteObjects, StepDeleteForgotten, StepDeleteGarbage, StepPinned,
	StepUpgradeBegun, StepUpgradeSwapped, StepUpgradeHealthy, StepUpgradeRolledBack, StepUpgradeFailed,
}

// passed tells whoever watches (Config.Passed) that the leader has done a step.
func (l *leader) passed(step string) {
	if l.cfg.Passed != nil {
		l.cfg.Passed(step)
	}
}
