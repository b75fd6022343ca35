package ledger

// What concerns the members and the workers.

func (t *transition) leaderEstablished(c *LeaderEstablished) any {
	if t.Cluster == "" {
		t.Cluster, t.ObjectStore = c.Cluster, c.ObjectStore
	}
	t.Leader, t.Term = c.Controller, c.Header.Term
	t.emit(Event{Type: EventLeaderEstablished, Controller: c.Controller})
	return nil
}

func (t *transition) announceController(c *AnnounceController) any {
	t.Members[c.Controller] = &Member{
		ID: c.Controller, APIAddress: c.APIAddress, RaftAddress: c.RaftAddress,
		MaxVersion: c.MaxVersion, Build: c.Build,
	}
	return nil
}

func (t *transition) registerWorker(c *RegisterWorker) any {
	if c.Worker == "" || c.Incarnation == "" {
		return refuse(ErrInvalid, "register worker %q incarnation %q", c.Worker, c.Incarnation)
	}
	if t.EndedIncarnation(c.Worker, c.Incarnation) {
		return refuse(ErrEndedIncarnation, "register worker %s incarnation %s", c.Worker, c.Incarnation)
	}
	w := &Worker{
		ID: c.Worker, Incarnation: c.Incarnation, Slots: c.Slots, Platform: c.Platform,
		Host: c.Host, Build: c.Build, Since: t.Now,
	}
	if old := t.Workers[c.Worker]; old != nil && old.Incarnation == c.Incarnation {
		w.Since = old.Since
		t.Workers[c.Worker] = w
		return nil
	} else if old != nil && !old.Ended {
		t.end(endedIncarnation{old.ID, old.Incarnation}, "replaced by incarnation "+string(c.Incarnation))
	}
	t.Workers[c.Worker] = w
	t.emit(Event{Type: EventWorkerRegistered, Worker: c.Worker, Detail: string(c.Incarnation)})
	return nil
}

// endWorker ends incarnations also that never registered: what a leader heard
// of and gave up must not turn up later.
func (t *transition) endWorker(c *EndWorker) any {
	if !t.EndedIncarnation(c.Worker, c.Incarnation) {
		t.end(endedIncarnation{c.Worker, c.Incarnation}, bounded(c.Reason, reasonMax))
	}
	return nil
}

func (t *transition) end(e endedIncarnation, reason string) {
	if w := t.Workers[e.Worker]; w != nil && w.Incarnation == e.Incarnation {
		ended := *w
		ended.Ended, ended.Reason = true, reason
		t.Workers[e.Worker] = &ended
		t.emit(Event{Type: EventWorkerEnded, Worker: e.Worker, Detail: reason})
	}
	if old, full := t.ended.add(e); full {
		t.forgetWorker(old)
	}
}

// forgetWorker drops a worker whose last incarnation ended so long ago that its
// end is forgotten.
func (t *transition) forgetWorker(e endedIncarnation) {
	if w := t.Workers[e.Worker]; w != nil && w.Ended && w.Incarnation == e.Incarnation {
		delete(t.Workers, e.Worker)
	}
}
