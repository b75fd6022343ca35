package admin

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/checkpointstore"
	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/wire"
)

func (t *tree) checkpointShowCommand() *cobra.Command {
	var pending bool
	cmd := &cobra.Command{
		Use:   "show JOB CHECKPOINT",
		Short: "Show each operator's bytes and the time of each phase",
		Long: "Show each operator's bytes and the time of each phase.\n\n" +
			"With --pending, without a number: the oldest checkpoint in flight, and who waits for whom.",
		Example:           "  cairn checkpoint show flights-k3x9qa 41\n  cairn checkpoint show flights-k3x9qa --pending",
		ValidArgsFunction: t.completeCheckpoint,
	}
	cmd.Flags().BoolVar(&pending, "pending", false, "the oldest checkpoint in flight")
	cmd.Args = Args(func(cmd *cobra.Command, given []string) error {
		if pending {
			return cobra.ExactArgs(1)(cmd, given)
		}
		return cobra.ExactArgs(2)(cmd, given)
	})
	cmd.RunE = t.run(t.checkpointShow)
	return cmd
}

// checkpointShow shows the checkpoint that is given, or without one what is in flight.
func (t *tree) checkpointShow(ctx context.Context, c *Client, given []string) error {
	var id uint64
	if len(given) > 1 {
		var err error
		if id, err = checkpointID(given[1]); err != nil {
			return err
		}
	}
	r, err := call(ctx, c, "checkpoint show", wire.ControlClient.GetCheckpoint, &wire.GetCheckpointRequest{Job: given[0], Checkpoint: id})
	if err != nil {
		return err
	}
	var meta *checkpointstore.Metadata
	if len(r.Metadata) > 0 {
		if meta, err = checkpointstore.Decode(r.Metadata); err != nil {
			return fmt.Errorf("metadata object of checkpoint %d: %w", id, err)
		}
	}
	needed, err := neededObjects(meta)
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(view(r).with("metadata", meta).with("operators", operatorSums(meta)).with("objects", needed))
	}
	return showCheckpoint(t.stdout, given[0], r, meta, needed)
}

func showCheckpoint(w io.Writer, job string, r *wire.GetCheckpointResponse, meta *checkpointstore.Metadata, needed []neededObject) error {
	checkpointHead(w, job, r)
	if k := r.Checkpoint; measured(k) {
		fmt.Fprintln(w)
		if err := phaseTable(w, k); err != nil {
			return err
		}
	}
	if err := alignmentTable(w, r.Alignments, time.Now()); err != nil || meta == nil {
		return err
	}
	fmt.Fprintln(w)
	if err := operatorTable(w, operatorSums(meta)); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := snapshotTable(w, meta); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return objectTable(w, needed)
}

func checkpointHead(w io.Writer, job string, r *wire.GetCheckpointResponse) {
	k := r.Checkpoint
	fmt.Fprintf(w, "checkpoint %d of job %s  %s\n", k.Id, job, k.Status)
	fmt.Fprintf(w, "%s, attempt %d, term %s, begun %s\n", dash(k.Trigger), k.Attempt, terms(k), timeText(k.BegunUnixMs))
	if k.Reason != "" {
		fmt.Fprintf(w, "reason: %s\n", k.Reason)
	}
	for _, p := range r.WaitingFor {
		fmt.Fprintf(w, "waiting for %s\n", p)
	}
	for _, holder := range k.Holds {
		fmt.Fprintf(w, "kept: %s\n", holder)
	}
	if measured(k) {
		fmt.Fprintf(w, "state %s, uploaded %s in %s\n", bytesText(k.StateBytes), bytesText(k.UploadedBytes), plural(k.Puts, "object"))
		if k.InFlightBytes > 0 {
			fmt.Fprintf(w, "barriers overtook %s of records, which are kept (%s)\n", bytesText(k.InFlightBytes), k.Mode)
		}
	}
	if k.Restorable {
		fmt.Fprintf(w, "restorable from %s (%s)\n", k.MetadataKey, bytesText(k.MetadataSize))
	}
	if k.CommitsOwed {
		fmt.Fprintln(w, "sinks have not confirmed their commits yet")
	}
}

// phaseTable tells where the time went. The phases of different subtasks
// overlap, so that they do not add up to the whole.
func phaseTable(w io.Writer, k *wire.CheckpointView) error {
	return table(w, "PHASE >TIME OF", [][]string{
		{"start delay", msText(k.StartDelayMs), "the slowest subtask, from the trigger to its first barrier"},
		{"align", msText(k.AlignMs), "the slowest subtask, from its first barrier to its last"},
		{"sync", msText(k.SyncMs), "the slowest subtask, standing still"},
		{"async", msText(k.AsyncMs), "the slowest subtask, until all its bytes were durable"},
		{"commit", msText(k.CommitMs), "the leader: metadata object and Raft entry"},
		{"whole", msText(k.DurationMs), "from begin to complete"},
	})
}

// operatorSum is what an operator's subtasks hold together, or one of them.
type operatorSum struct {
	UID          dataflow.UID `json:"uid"`
	Subtasks     int          `json:"subtasks"`
	StateBytes   int64        `json:"state_bytes"`  // live keyed state, and list items
	Entries      int64        `json:"entries"`      // live keyed entries
	StoredBytes  int64        `json:"stored_bytes"` // that a restore reads of the object store
	Segments     int          `json:"segments"`     // the pieces of that
	ListItems    int          `json:"list_items"`   // of operator state, such as a source's splits
	Transactions int          `json:"transactions"` // prepared by a sink
}

func (s *operatorSum) add(o snapshot.Operator) {
	s.Subtasks++
	s.Transactions += len(o.Transactions)
	for _, list := range o.Lists {
		s.ListItems += len(list)
		for _, item := range list {
			s.StateBytes += int64(len(item))
		}
	}
	if o.Keyed == nil {
		return
	}
	s.StateBytes += o.Keyed.Bytes
	s.Entries += o.Keyed.Entries
	s.Segments += len(o.Keyed.Segments)
	for _, g := range o.Keyed.Segments {
		s.StoredBytes += g.Ref.Length
	}
}

// operatorSums adds up the subtasks of each operator, in the graph's order of
// vertices. Without metadata there are none.
func operatorSums(meta *checkpointstore.Metadata) []*operatorSum {
	sums := []*operatorSum{}
	if meta == nil {
		return sums
	}
	byUID := map[dataflow.UID]*operatorSum{}
	for _, s := range subtasksOf(meta) {
		for _, o := range s.Operators {
			if byUID[o.UID] == nil {
				byUID[o.UID] = &operatorSum{UID: o.UID}
				sums = append(sums, byUID[o.UID])
			}
			byUID[o.UID].add(o)
		}
	}
	return sums
}

type subtaskSnapshot struct {
	snapshot.Subtask
	process dataflow.Incarnation
}

// subtasksOf lists the subtasks of all processes, by vertex and index.
func subtasksOf(meta *checkpointstore.Metadata) []subtaskSnapshot {
	var all []subtaskSnapshot
	for _, p := range meta.Processes {
		for _, s := range p.Subtasks {
			all = append(all, subtaskSnapshot{s, p.Process})
		}
	}
	slices.SortFunc(all, func(a, b subtaskSnapshot) int { return a.Task.Compare(b.Task) })
	return all
}

func operatorTable(w io.Writer, sums []*operatorSum) error {
	var rows [][]string
	for _, s := range sums {
		rows = append(rows, append([]string{string(s.UID), fmt.Sprint(s.Subtasks)}, s.cells()...))
	}
	return table(w, "OPERATOR >SUBTASKS >STATE >ENTRIES >STORED >SEGMENTS >LIST-ITEMS >TRANSACTIONS", rows)
}

func (s *operatorSum) cells() []string {
	return []string{bytesText(s.StateBytes), countText(s.Entries), bytesText(s.StoredBytes), fmt.Sprint(s.Segments), fmt.Sprint(s.ListItems), fmt.Sprint(s.Transactions)}
}

// snapshotTable has a line for each operator of each subtask. The phases are
// the subtask's, which its operators share.
func snapshotTable(w io.Writer, meta *checkpointstore.Metadata) error {
	ms := func(d time.Duration) string { return msText(float64(d) / float64(time.Millisecond)) }
	var rows [][]string
	for _, s := range subtasksOf(meta) {
		for _, o := range s.Operators {
			var sum operatorSum
			sum.add(o)
			row := append([]string{s.Task.String(), string(o.UID)}, sum.cells()...)
			rows = append(rows, append(row, ms(s.Timing.StartDelay), ms(s.Timing.Align), ms(s.Timing.Sync), ms(s.Timing.Async), string(s.process)))
		}
	}
	return table(w, "SUBTASK OPERATOR >STATE >ENTRIES >STORED >SEGMENTS >LIST-ITEMS >TRANSACTIONS >START-DELAY >ALIGN >SYNC >ASYNC PROCESS", rows)
}
