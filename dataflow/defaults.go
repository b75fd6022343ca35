package dataflow

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"time"
)

// WithDefaults fills in what was not chosen.
func (o Options) WithDefaults() Options {
	o.CheckpointInterval = cmp.Or(o.CheckpointInterval, 10*time.Second)
	o.CheckpointTimeout = cmp.Or(o.CheckpointTimeout, 10*time.Minute)
	o.Retained = cmp.Or(o.Retained, 3)
	o.BatchRows = cmp.Or(o.BatchRows, 1024)
	o.BatchLinger = cmp.Or(o.BatchLinger, time.Millisecond)
	o.ChannelBatches = cmp.Or(o.ChannelBatches, 8)
	st := &o.State
	st.Backend = cmp.Or(st.Backend, BackendMemory)
	st.MemoryBytes = cmp.Or(st.MemoryBytes, 256<<20)
	st.RecoveryTarget = cmp.Or(st.RecoveryTarget, 10*time.Second)
	st.SpoolBytes = cmp.Or(st.SpoolBytes, 4<<30)
	st.Compression = cmp.Or(st.Compression, "s2")
	st.LocalRecovery = cmp.Or(st.LocalRecovery, "on")
	c := &o.Checkpoint
	c.IntervalDuringBacklog = cmp.Or(c.IntervalDuringBacklog, o.CheckpointInterval)
	c.MaxConcurrent = cmp.Or(c.MaxConcurrent, 1)
	c.Jitter = cmp.Or(c.Jitter, 0.1)
	c.Mode = cmp.Or(c.Mode, ExactlyOnce)
	if c.Unaligned == "" {
		c.Unaligned = "off"
		if c.AlignedTimeout > 0 {
			c.Unaligned = "on" // once that time is over
		}
	}
	c.Retention = cmp.Or(c.Retention, RetainOnCancel)
	c.SavepointFormat = cmp.Or(c.SavepointFormat, Canonical)
	c.SavepointRetained = cmp.Or(c.SavepointRetained, 3)
	r := &o.Restart
	r.Initial = cmp.Or(r.Initial, time.Second)
	r.Max = cmp.Or(r.Max, time.Minute)
	r.Multiplier = cmp.Or(r.Multiplier, 1.5)
	r.Jitter = cmp.Or(r.Jitter, 0.1)
	r.ResetAfter = cmp.Or(r.ResetAfter, time.Hour)
	return o
}

// Merge returns o with every field that over chooses.
func (o Options) Merge(over Options) Options {
	o.CheckpointInterval = cmp.Or(over.CheckpointInterval, o.CheckpointInterval)
	o.CheckpointTimeout = cmp.Or(over.CheckpointTimeout, o.CheckpointTimeout)
	o.MinPause = cmp.Or(over.MinPause, o.MinPause)
	o.TolerableFailures = cmp.Or(over.TolerableFailures, o.TolerableFailures)
	o.Retained = cmp.Or(over.Retained, o.Retained)
	o.BatchRows = cmp.Or(over.BatchRows, o.BatchRows)
	o.BatchLinger = cmp.Or(over.BatchLinger, o.BatchLinger)
	o.ChannelBatches = cmp.Or(over.ChannelBatches, o.ChannelBatches)
	st := over.State
	o.State = StateOptions{
		Backend:        cmp.Or(st.Backend, o.State.Backend),
		MemoryBytes:    cmp.Or(st.MemoryBytes, o.State.MemoryBytes),
		RecoveryTarget: cmp.Or(st.RecoveryTarget, o.State.RecoveryTarget),
		LogBytes:       cmp.Or(st.LogBytes, o.State.LogBytes),
		SpoolBytes:     cmp.Or(st.SpoolBytes, o.State.SpoolBytes),
		Compression:    cmp.Or(st.Compression, o.State.Compression),
		LocalRecovery:  cmp.Or(st.LocalRecovery, o.State.LocalRecovery),
	}
	c := over.Checkpoint
	o.Checkpoint = CheckpointOptions{
		IntervalDuringBacklog: cmp.Or(c.IntervalDuringBacklog, o.Checkpoint.IntervalDuringBacklog),
		EveryBytes:            cmp.Or(c.EveryBytes, o.Checkpoint.EveryBytes),
		EveryRecords:          cmp.Or(c.EveryRecords, o.Checkpoint.EveryRecords),
		MaxConcurrent:         cmp.Or(c.MaxConcurrent, o.Checkpoint.MaxConcurrent),
		MaxAge:                cmp.Or(c.MaxAge, o.Checkpoint.MaxAge),
		Jitter:                cmp.Or(c.Jitter, o.Checkpoint.Jitter),
		Mode:                  cmp.Or(c.Mode, o.Checkpoint.Mode),
		Unaligned:             cmp.Or(c.Unaligned, o.Checkpoint.Unaligned),
		AlignedTimeout:        cmp.Or(c.AlignedTimeout, o.Checkpoint.AlignedTimeout),
		Retention:             cmp.Or(c.Retention, o.Checkpoint.Retention),
		SavepointInterval:     cmp.Or(c.SavepointInterval, o.Checkpoint.SavepointInterval),
		SavepointFormat:       cmp.Or(c.SavepointFormat, o.Checkpoint.SavepointFormat),
		SavepointDirectory:    cmp.Or(c.SavepointDirectory, o.Checkpoint.SavepointDirectory),
		SavepointRetained:     cmp.Or(c.SavepointRetained, o.Checkpoint.SavepointRetained),
	}
	r := over.Restart
	o.Restart = RestartStrategy{
		Initial:    cmp.Or(r.Initial, o.Restart.Initial),
		Max:        cmp.Or(r.Max, o.Restart.Max),
		Multiplier: cmp.Or(r.Multiplier, o.Restart.Multiplier),
		Jitter:     cmp.Or(r.Jitter, o.Restart.Jitter),
		ResetAfter: cmp.Or(r.ResetAfter, o.Restart.ResetAfter),
		Attempts:   cmp.Or(r.Attempts, o.Restart.Attempts),
	}
	return o
}

// Validate reports every bad option at once; unset ones are fine.
func (o Options) Validate() error {
	var v problems
	v.check(o.CheckpointInterval <= 0 || o.CheckpointInterval >= 10*time.Millisecond, "checkpoint_interval %v: use 10ms or more, or a negative one for none", o.CheckpointInterval)
	v.check(o.CheckpointTimeout == 0 || o.CheckpointTimeout >= 100*time.Millisecond, "checkpoint_timeout %v: use 100ms or more", o.CheckpointTimeout)
	v.check(o.MinPause >= 0, "min_pause %v: it can't be negative", o.MinPause)
	v.check(o.Retained >= 0 && o.Retained <= 10_000, "retained %d: use 1 to 10000", o.Retained)
	v.check(o.BatchRows >= 0 && o.BatchRows <= 1<<20, "batch_rows %d: use 1 to %d", o.BatchRows, 1<<20)
	v.check(o.BatchLinger >= 0 && o.BatchLinger <= time.Minute, "batch_linger %v: use up to 1m", o.BatchLinger)
	v.check(o.ChannelBatches >= 0 && o.ChannelBatches <= 1<<16, "channel_batches %d: use 1 to %d", o.ChannelBatches, 1<<16)
	st := o.State
	v.check(slices.Contains([]string{"", BackendMemory, BackendLSM}, st.Backend), "state.backend %q: use memory or lsm", st.Backend)
	v.check(st.MemoryBytes == 0 || st.MemoryBytes >= 16<<20, "state.memory_bytes %d: use 16777216 (16 MiB) or more", st.MemoryBytes)
	v.check(st.RecoveryTarget == 0 || st.RecoveryTarget >= 10*time.Millisecond, "state.recovery_target %v: use 10ms or more", st.RecoveryTarget)
	v.check(st.LogBytes == 0 || st.LogBytes >= 64<<10, "state.log_bytes %d: use 65536 or more", st.LogBytes)
	v.check(st.SpoolBytes == 0 || st.SpoolBytes >= 1<<20, "state.spool_bytes %d: use 1048576 (1 MiB) or more", st.SpoolBytes)
	v.check(slices.Contains([]string{"", "s2", "zstd", "none"}, st.Compression), "state.compression %q: use s2, zstd or none", st.Compression)
	v.check(slices.Contains([]string{"", "on", "off"}, st.LocalRecovery), "state.local_recovery %q: use on or off", st.LocalRecovery)
	o.validateCheckpoint(&v)
	r := o.Restart
	v.check(r.Initial >= 0 && r.Max >= 0 && r.ResetAfter >= 0, "restart: a delay is negative (initial %v, max %v, reset_after %v)", r.Initial, r.Max, r.ResetAfter)
	v.check(r.Max == 0 || r.Initial <= r.Max, "restart: initial %v is above max %v", r.Initial, r.Max)
	v.check(r.Multiplier == 0 || r.Multiplier >= 1, "restart: multiplier %v: use 1 or more", r.Multiplier)
	v.check(r.Jitter >= 0 && r.Jitter <= 1, "restart: jitter %v: use 0 to 1", r.Jitter)
	return errors.Join(v...)
}

// Beyond returns o without what is the same in base: what somebody chose beyond it. Such a
// choice of a zero value, which Merge takes for none, is not seen.
func (o Options) Beyond(base Options) Options {
	clearSame(reflect.ValueOf(&o).Elem(), reflect.ValueOf(base))
	return o
}

// clearSame sets the fields of v, and of the structs in it, that are the same in base to zero.
func clearSame(v, base reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Equal(base.Field(i)):
			f.SetZero()
		case f.Kind() == reflect.Struct:
			clearSame(f, base.Field(i))
		}
	}
}
