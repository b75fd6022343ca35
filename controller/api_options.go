package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/coordinator"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// SetOptions changes the options of a job that need no restart, while it runs. Fields
// that the request gives are changed, zeros too: they are the defaults then. Without
// any it only tells what the options are. The same key changes them once.
func (s controlService) SetOptions(ctx context.Context, r *wire.SetOptionsRequest) (*wire.SetOptionsResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	if len(r.Options) > 0 {
		if record, err = l.setOptions(ctx, record.ID, r); err != nil {
			return nil, statusOf(fmt.Errorf("set options of %s: %w", r.Job, err))
		}
	}
	options, err := json.Marshal(record.Options.WithDefaults())
	return &wire.SetOptionsResponse{Options: options}, statusOf(err)
}

// setOptions has Raft hold the changed options. One request is merged after the other,
// so that none is lost: nobody but this leader proposes in its term.
func (l *leader) setOptions(ctx context.Context, id dataflow.JobID, r *wire.SetOptionsRequest) (*ledger.Job, error) {
	l.setting.Lock()
	defer l.setting.Unlock()
	record := l.record(id)
	if record == nil {
		return nil, noJob(id)
	}
	options, err := changed(record.Options, r.Options)
	if err != nil {
		return nil, err
	}
	result, err := l.commit(ctx, &ledger.SetOptions{Header: l.header(r.Key), Job: id, Options: options})
	if err != nil {
		return nil, err
	}
	l.post(context.WithoutCancel(ctx), func() {
		if j := l.jobs[id]; j != nil {
			l.drive(j)
		}
	})
	job, ok := result.(*ledger.Job)
	if !ok || job == nil {
		return nil, fmt.Errorf("apply answered %T", result)
	}
	return job, nil
}

// changed are a job's options, as Raft holds them, with the fields that data gives.
func changed(now dataflow.Options, data []byte) (dataflow.Options, error) {
	was := now.WithDefaults()
	chosen := was
	chosen.Checkpoint = now.Checkpoint
	in := json.NewDecoder(bytes.NewReader(data))
	in.DisallowUnknownFields()
	if err := in.Decode(&chosen); err != nil {
		return now, fmt.Errorf("options %.200s: %w: %w", data, err, errInvalid)
	}
	next := chosen.WithDefaults()
	if names := was.NeedsRestart(next); len(names) > 0 {
		return now, fmt.Errorf("%s can't be changed while the job runs: stop it with a savepoint and submit it again from there with the new value: %w", strings.Join(names, ", "), errInvalid)
	}
	if err := next.Validate(); err != nil {
		return now, fmt.Errorf("%w: %w", err, errInvalid)
	}
	options := recorded(chosen)
	options.State = now.State
	return options, nil
}

// reconfigure tells the coordinator of options that it does not know. What is in
// flight keeps the limits that it began with.
func (l *leader) reconfigure(j *job, record *ledger.Job) {
	if j.options == record.Options {
		return
	}
	j.options = record.Options
	l.jobLog(j).Info("options changed")
	l.step(j, coordinator.Reconfigured{Options: record.Options.WithDefaults()})
}
