package controller

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAgendaRunsInOrderAndForgetsWhatIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a agenda
		var did []string
		note := func(what string) func() { return func() { did = append(did, what) } }
		a.after(3*time.Second, note("third"))
		gone := a.after(2*time.Second, note("cancelled"))
		a.after(time.Second, note("first"))
		a.cancel(gone)
		a.cancel(gone)
		a.cancel(nil)
		for d, ok := a.next(); ok; d, ok = a.next() {
			if err := pause(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			a.runDue()
		}
		if len(did) != 2 || did[0] != "first" || did[1] != "third" {
			t.Errorf("did %v", did)
		}
	})
}

func TestGateLetsNobodyInOnceShut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		if !g.enter() {
			t.Fatal("refused while open")
		}
		leave := make(chan struct{})
		g.goInside(func() { <-leave })
		shut := make(chan struct{})
		go func() { g.shut(); close(shut) }()
		synctest.Wait()
		if g.enter() || isClosed(shut) {
			t.Error("a shut gate lets in, or does not wait")
		}
		g.leave()
		synctest.Wait()
		if isClosed(shut) {
			t.Error("did not wait for the goroutine inside")
		}
		close(leave)
		<-shut
	})
}

func TestPinsKeepSubmitsAndTheCollectorApart(t *testing.T) {
	var p pins
	first, second := p.pin("a"), p.pin("a")
	if !first || !second || p.beginDelete("a") {
		t.Error("what is pinned can be deleted")
	}
	p.unpin("a")
	p.unpin("a")
	if !p.beginDelete("a") || p.pin("a") {
		t.Error("what is being deleted can be pinned")
	}
	p.endDelete("a")
	if !p.pin("a") {
		t.Error("what was deleted can not be pinned again")
	}
}
