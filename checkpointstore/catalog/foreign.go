package catalog

import (
	"strings"

	"github.com/cairnstream/cairn/snapshot"
)

// NewWithin returns an empty catalog of a job whose own objects have names that
// begin with own. Records may refer to others', which are only dropped and never
// marked. Empty: all are its own.
func NewWithin(own string) *Catalog { return &Catalog{own: own} }

// Owns tells whether a run is of the job's own objects.
func (c *Catalog) Owns(r snapshot.Run) bool { return strings.HasPrefix(r.Prefix, c.own) }

// RefersToForeign tells whether any record refers to an object of another job. Its
// cost grows with the writers that are referred to, not with the records.
func (c *Catalog) RefersToForeign() bool {
	if c.own == "" {
		return false
	}
	for prefix := range c.index {
		if !strings.HasPrefix(prefix, c.own) {
			return true
		}
	}
	return false
}

// Foreign are those of the runs that are of other jobs' objects.
func (c *Catalog) Foreign(runs []snapshot.Run) []snapshot.Run {
	var foreign []run
	for _, r := range runs {
		if !c.Owns(r) {
			foreign = append(foreign, r)
		}
	}
	return foreign
}

// owned are those of the runs that are of the job's own objects.
func (c *Catalog) owned(runs []run) []run {
	if c.own == "" {
		return runs
	}
	var owned []run
	for _, r := range runs {
		if c.Owns(r) {
			owned = append(owned, r)
		}
	}
	return owned
}

// Covers tells whether the record refers to all objects of the runs. A run that is
// malformed is covered by nothing.
func (r *Record) Covers(runs []snapshot.Run) bool {
	runs, err := Normalize(runs)
	if err != nil {
		return false
	}
	have := space{}
	have.overlay(r.Objects, 0)
	return len(have.without(runs)) == 0
}
