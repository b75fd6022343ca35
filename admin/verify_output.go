package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
)

// newestFirst are all checkpoints.
func (s *stored) newestFirst() []checkpointstore.Found {
	all := slices.Clone(s.found)
	slices.Reverse(all)
	return all
}

// checkpointVerify verifies checkpoints one after the other, and fails if one is
// not restorable.
func (t *tree) checkpointVerify(ctx context.Context, s *stored, found []checkpointstore.Found) error {
	p := newProgress(t.stderr)
	defer p.end()
	verdicts := []verdict{}
	for _, f := range found {
		v, err := s.verify(ctx, f, p)
		p.end()
		if err != nil {
			return err
		}
		verdicts = append(verdicts, v)
		if t.output == "json" {
			continue
		}
		if err := t.showVerdict(s, v); err != nil {
			return err
		}
	}
	bad, verdictless := damaged(verdicts), !slices.ContainsFunc(verdicts, func(v verdict) bool { return !v.Dropped })
	if t.output == "json" {
		if err := t.printJSON(object{{"job", s.job}, {"restorable", len(bad) == 0 && !verdictless}, {"checkpoints", verdicts}}); err != nil {
			return err
		}
	}
	switch {
	case verdictless:
		return status.Errorf(codes.NotFound, "job %s drops its checkpoints faster than they are read: let it keep more, or verify it when it has ended", s.job)
	case len(bad) == 0:
		return nil
	}
	return fmt.Errorf("checkpoint %s of job %s: not restorable; %s", idList(bad), s.job, s.wayOut(verdicts))
}

func (t *tree) showVerdict(s *stored, v verdict) error {
	read := fmt.Sprintf("%s, %s", plural(int64(v.Objects), "object"), bytesText(v.Bytes))
	if v.Restorable {
		_, err := fmt.Fprintf(t.stdout, "checkpoint %d of job %s: restorable; %s, all bytes checked in %s; %s of state, restored in %s\n",
			v.Checkpoint, s.job, read, secondsText(v.Seconds-v.RestoreS), entriesText(v.Entries), secondsText(v.RestoreS))
		return err
	}
	if v.Dropped {
		_, err := fmt.Fprintf(t.stdout, "checkpoint %d of job %s: dropped by the job while it was read; no verdict\n", v.Checkpoint, s.job)
		return err
	}
	fmt.Fprintf(t.stdout, "checkpoint %d of job %s: NOT RESTORABLE; %s read in %s\n", v.Checkpoint, s.job, read, secondsText(v.Seconds))
	var rows [][]string
	for _, p := range v.Problems {
		rows = append(rows, []string{dash(p.Object), dash(p.Operator), idList(p.NeededBy), p.text()})
	}
	return table(t.stdout, "OBJECT OPERATOR NEEDED-BY PROBLEM", rows)
}

// text is the problem without the object's name in front.
func (p problemView) text() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.Error, "object "+p.Object+": "), "read "+p.Object+": ")
}

func secondsText(s float64) string {
	if s < 1 {
		return msText(s * 1000)
	}
	return (time.Duration(s*10) * time.Second / 10).String()
}

func entriesText(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return countText(n) + " entries"
}

// damaged are the checkpoints that are not restorable. Those that were dropped
// meanwhile are no longer of interest.
func damaged(verdicts []verdict) []dataflow.CheckpointID {
	var ids []dataflow.CheckpointID
	for _, v := range verdicts {
		if !v.Restorable && !v.Dropped {
			ids = append(ids, v.Checkpoint)
		}
	}
	return ids
}

func idList(ids []dataflow.CheckpointID) string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, fmt.Sprint(id))
	}
	return strings.Join(texts, ", ")
}

// wayOut names the newest checkpoint that is whole, or that may be.
func (s *stored) wayOut(verdicts []verdict) string {
	for _, f := range s.newestFirst() {
		i := slices.IndexFunc(verdicts, func(v verdict) bool { return v.Checkpoint == f.Checkpoint })
		if i >= 0 && verdicts[i].Restorable {
			return fmt.Sprintf("%d is the newest that is", f.Checkpoint)
		}
		if i < 0 && !needed(verdicts, f.Checkpoint) {
			return fmt.Sprintf("%d needs nothing of what is damaged, `cairn checkpoint verify %s %d` tells whether it is whole", f.Checkpoint, s.job, f.Checkpoint)
		}
	}
	return "no other checkpoint is left that could be whole"
}

// needed tells whether a checkpoint needs something that is damaged.
func needed(verdicts []verdict, id dataflow.CheckpointID) bool {
	return slices.ContainsFunc(verdicts, func(v verdict) bool {
		return slices.ContainsFunc(v.Problems, func(p problemView) bool { return slices.Contains(p.NeededBy, id) })
	})
}
