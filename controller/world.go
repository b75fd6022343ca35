package controller

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/controller/ledger"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/ha"
	"github.com/cairnstream/cairn/objectstore"
)

// world is what a controller has, whether it leads or not.
type world struct {
	cfg     Config
	replica ha.Replica
	ledger  *ledger.Ledger
	bucket  objectstore.Bucket
	claimed *atomic.Bool // the bucket is known to be this cluster's
	metrics *metrics
	log     *slog.Logger
}

// store is the cluster's part of the bucket. The cluster must have its name.
func (w *world) store() *checkpointstore.Store { return checkpointstore.New(w.bucket, w.cluster()) }

// cluster is the cluster's incarnation; empty before its first leader.
func (w *world) cluster() (cluster string) {
	w.ledger.View(func(s *ledger.State) { cluster = s.Cluster })
	return cluster
}

// objectStore is the URL that the cluster was made for, for messages.
func (w *world) objectStore() (url string) {
	w.ledger.View(func(s *ledger.State) { url = s.ObjectStore })
	return url
}

// record is what Raft holds of a job; nil if it knows none. It is not to be changed.
func (w *world) record(id dataflow.JobID) *ledger.Job {
	record, err := w.ledger.Job(id)
	if err != nil {
		return nil
	}
	return record
}

// records are all jobs, by id.
func (w *world) records() (jobs []*ledger.Job) {
	w.ledger.View(func(s *ledger.State) {
		for _, id := range s.JobIDs() {
			jobs = append(jobs, s.Jobs[id])
		}
	})
	return jobs
}

// knownWorkers are all workers that Raft remembers, by id.
func (w *world) knownWorkers() (workers []*ledger.Worker) {
	w.ledger.View(func(s *ledger.State) {
		for _, id := range s.WorkerIDs() {
			workers = append(workers, s.Workers[id])
		}
	})
	return workers
}

// liveWorkers are those whose incarnation Raft has not ended.
func (w *world) liveWorkers() (live []*ledger.Worker) {
	for _, known := range w.knownWorkers() {
		if !known.Ended {
			live = append(live, known)
		}
	}
	return live
}

func (w *world) incarnationEnded(id dataflow.WorkerID, incarnation dataflow.Incarnation) (ended bool) {
	w.ledger.View(func(s *ledger.State) { ended = s.EndedIncarnation(id, incarnation) })
	return ended
}

// liveIncarnation is the worker's incarnation that Raft takes for living, or "".
func (w *world) liveIncarnation(id dataflow.WorkerID) (incarnation dataflow.Incarnation) {
	w.ledger.View(func(s *ledger.State) {
		if known := s.Workers[id]; known != nil && !known.Ended {
			incarnation = known.Incarnation
		}
	})
	return incarnation
}

// commonVersion is the newest command version that all members apply.
func (w *world) commonVersion() (common int) {
	w.ledger.View(func(s *ledger.State) {
		ids := make([]string, len(w.cfg.Peers))
		for i, p := range w.cfg.Peers {
			ids[i] = p.ID
		}
		common = s.MinVersion(ids)
	})
	return common
}

// unheard are the controllers that have never said, to any leader, what they apply.
func (w *world) unheard() (ids []string) {
	w.ledger.View(func(s *ledger.State) {
		for _, p := range w.cfg.Peers {
			if s.Members[p.ID] == nil {
				ids = append(ids, p.ID)
			}
		}
	})
	return ids
}

func decodeGraph(data []byte) (*dataflow.Graph, *dataflow.Plan, error) {
	graph := &dataflow.Graph{}
	if err := json.Unmarshal(data, graph); err != nil {
		return nil, nil, fmt.Errorf("decode graph: %w", err)
	}
	if err := graph.Validate(); err != nil {
		return nil, nil, err
	}
	plan, err := graph.Plan()
	return graph, plan, err
}
