package controller

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

// logsMax bounds what one worker is asked for, logsTimeout how long it may take.
const (
	logsMax     = 1 << 20
	logsTimeout = 5 * time.Second
)

// JobLogs asks the workers for what the job's processes printed.
func (s controlService) JobLogs(ctx context.Context, r *wire.JobLogsRequest) (*wire.JobLogsResponse, error) {
	l, record, err := s.job(ctx, r.Job)
	if err != nil {
		return nil, statusOf(err)
	}
	hosts, err := inLoop(ctx, l, func() ([]dataflow.WorkerID, error) { return l.hosts(record.ID), nil })
	if err != nil {
		return nil, statusOf(err)
	}
	limit := r.MaxBytes
	if limit <= 0 || limit > logsMax {
		limit = logsMax
	}
	response := &wire.JobLogsResponse{}
	if r.Worker != "" {
		hosts = slices.DeleteFunc(hosts, func(host dataflow.WorkerID) bool { return string(host) != r.Worker })
	}
	response.Logs = make([]*wire.WorkerLog, len(hosts))
	var group sync.WaitGroup
	for i, host := range hosts {
		group.Go(func() { response.Logs[i] = l.logsOf(ctx, host, record.ID, limit) })
	}
	group.Wait()
	if len(response.Logs) == 0 {
		return nil, statusOf(fmt.Errorf("no connected worker %s has logs of job %s: %w", r.Worker, record.ID, errNotFound))
	}
	return response, nil
}

// logsOf asks one worker; what goes wrong is part of the answer.
func (l *leader) logsOf(ctx context.Context, host dataflow.WorkerID, id dataflow.JobID, limit int64) *wire.WorkerLog {
	ctx, cancel := context.WithTimeoutCause(ctx, logsTimeout, fmt.Errorf("no answer within %v", logsTimeout))
	defer cancel()
	choose := func() (*worker, error) {
		if w := l.workers[host]; w != nil && w.attached() {
			return w, nil
		}
		return nil, fmt.Errorf("worker %s is not connected", host)
	}
	answer, err := l.ask(ctx, choose, func(request string) *wire.LeaderMessage {
		return &wire.LeaderMessage{Body: &wire.LeaderMessage_Logs{Logs: &wire.Logs{Request: request, Job: string(id), MaxBytes: limit}}}
	})
	if err != nil {
		return &wire.WorkerLog{Worker: string(host), Error: err.Error()}
	}
	result := answer.GetLogsResult()
	return &wire.WorkerLog{Worker: string(host), Text: result.Text, Error: result.Error}
}
